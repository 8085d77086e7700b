//! Names of the languages that Windows comes in, by their tags (BCP 47).

const NAMES: [(&str, &str); 44] = [
    ("ar-SA", "Arabic"),
    ("bg-BG", "Bulgarian"),
    ("cs-CZ", "Czech"),
    ("da-DK", "Danish"),
    ("de-DE", "German"),
    ("el-GR", "Greek"),
    ("en-GB", "British English"),
    ("en-US", "English"),
    ("es-ES", "Spanish"),
    ("es-MX", "Mexican Spanish"),
    ("et-EE", "Estonian"),
    ("fi-FI", "Finnish"),
    ("fr-CA", "Canadian French"),
    ("fr-FR", "French"),
    ("he-IL", "Hebrew"),
    ("hi-IN", "Hindi"),
    ("hr-HR", "Croatian"),
    ("hu-HU", "Hungarian"),
    ("id-ID", "Indonesian"),
    ("is-IS", "Icelandic"),
    ("it-IT", "Italian"),
    ("ja-JP", "Japanese"),
    ("kk-KZ", "Kazakh"),
    ("ko-KR", "Korean"),
    ("lt-LT", "Lithuanian"),
    ("lv-LV", "Latvian"),
    ("nb-NO", "Norwegian"),
    ("nl-NL", "Dutch"),
    ("pl-PL", "Polish"),
    ("pt-BR", "Brazilian Portuguese"),
    ("pt-PT", "Portuguese"),
    ("ro-RO", "Romanian"),
    ("ru-RU", "Russian"),
    ("sk-SK", "Slovak"),
    ("sl-SI", "Slovenian"),
    ("sr-Latn-CS", "Serbian"),
    ("sr-Latn-RS", "Serbian"),
    ("sv-SE", "Swedish"),
    ("th-TH", "Thai"),
    ("tr-TR", "Turkish"),
    ("uk-UA", "Ukrainian"),
    ("vi-VN", "Vietnamese"),
    ("zh-CN", "Simplified Chinese"),
    ("zh-TW", "Traditional Chinese"),
];

/// A language's name; its tag when it has none here.
pub(super) fn name(tag: &str) -> String {
    let known = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(tag));
    known.map_or(tag, |(_, name)| name).to_owned()
}
