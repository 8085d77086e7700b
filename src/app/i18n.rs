//! Words in the person's language (gettext).

use std::path::PathBuf;

pub(crate) use gettextrs::gettext;
use gettextrs::{bind_textdomain_codeset, bindtextdomain, ngettext, textdomain};

use crate::config;

/// Finds the translations; GTK chooses the person's language when it starts. Without translations the words stay English.
pub(crate) fn init() {
    let bound = bindtextdomain(config::DOMAIN, folder())
        .and_then(|_| bind_textdomain_codeset(config::DOMAIN, "UTF-8"))
        .and_then(|_| textdomain(config::DOMAIN));
    if let Err(error) = bound {
        tracing::warn!("no translations: {error}");
    }
}

/// Where a packager said that translations are, else `../share/locale` of the program: so it is in `/usr` as in `target`.
fn folder() -> PathBuf {
    let beside = || {
        let program = std::env::current_exe().ok()?;
        Some(program.parent()?.parent()?.join("share/locale"))
    };
    config::LOCALEDIR.map(PathBuf::from).or_else(beside).unwrap_or_else(|| "/usr/share/locale".into())
}

/// A translated sentence with names put in for `{name}`.
pub(crate) fn gettext_f(sentence: &str, names: &[(&str, &str)]) -> String {
    fill(&gettext(sentence), names)
}

/// A translated sentence that says one thing of one and of many, with the number put in for `{count}`, and names.
pub(crate) fn ngettext_f(one: &str, many: &str, count: usize, names: &[(&str, &str)]) -> String {
    let number = count.to_string();
    let names = [&[("count", number.as_str())], names].concat();
    // No language has forms that differ beyond that.
    fill(&ngettext(one, many, u32::try_from(count).unwrap_or(u32::MAX)), &names)
}

fn fill(sentence: &str, names: &[(&str, &str)]) -> String {
    let mut text = String::new();
    let mut rest = sentence;
    // From left to right, so that a brace in a value is never taken for a name.
    while let Some((before, after)) = rest.split_once('{') {
        text.push_str(before);
        let known = after
            .split_once('}')
            .and_then(|(key, behind)| names.iter().find(|(name, _)| *name == key).map(|(_, value)| (*value, behind)));
        match known {
            Some((value, behind)) => {
                text.push_str(value);
                rest = behind;
            }
            None => {
                text.push('{');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::{gettext_f, ngettext_f};

    #[test]
    fn names() {
        let names = [("a", "{b}"), ("b", "2")];
        assert_eq!(gettext_f("{b} {a}, {c} { } {", &names), "2 {b}, {c} { } {");
        let machines = |count| ngettext_f("{a} and {count} machine", "{a} and {count} machines", count, &names);
        assert_eq!([machines(1), machines(2)], ["{b} and 1 machine", "{b} and 2 machines"]);
    }
}
