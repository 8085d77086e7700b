//! Finds the sentences in the app's Rust code: the literal in `gettext("…")` and `gettext_f("…", …)`, inside macros too, where most
//! of a relm4 view stands. gettext's own `xgettext` reads Rust only since 0.24, which Debian 13 has not.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Functions whose first argument is a sentence.
const FUNCTIONS: [&str; 2] = ["gettext", "gettext_f"];

/// A template of all sentences below `src/app`.
///
/// # Errors
/// A file is no Rust, or gives one of the functions something else than a literal, which no translator would ever see.
pub(super) fn template(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(&root.join("src/app"), &mut files)?;
    files.sort();
    let mut sentences: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut order = Vec::new();
    for file in files {
        let shown = file.strip_prefix(root)?.display().to_string();
        let code = fs::read_to_string(&file)?;
        for sentence in sentences_in(&code).with_context(|| shown.clone())? {
            let places = sentences.entry(sentence.clone()).or_insert_with(|| {
                order.push(sentence);
                Vec::new()
            });
            if places.last() != Some(&shown) {
                places.push(shown.clone());
            }
        }
    }
    let mut text = String::from(HEADER);
    for sentence in order {
        let _ = writeln!(text, "\n#: {}", sentences[&sentence].join(" "));
        if sentence.contains('{') {
            text.push_str("#, python-brace-format\n");
        }
        let _ = writeln!(text, "msgid \"{}\"\nmsgstr \"\"", escaped(&sentence));
    }
    Ok(text)
}

const HEADER: &str = r#"# Dormer's sentences.
# This file is distributed under the licence of Dormer.
#
msgid ""
msgstr ""
"Project-Id-Version: dormer\n"
"Report-Msgid-Bugs-To: https://github.com/dormer-vm/dormer/issues\n"
"Language: \n"
"MIME-Version: 1.0\n"
"Content-Type: text/plain; charset=UTF-8\n"
"Content-Transfer-Encoding: 8bit\n"
"#;

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") && !path.ends_with("i18n.rs") {
            files.push(path);
        }
    }
    Ok(())
}

/// The sentences of a file, in order.
fn sentences_in(code: &str) -> Result<Vec<String>> {
    let tokens = code.parse::<TokenStream>().map_err(|error| anyhow::anyhow!("not Rust: {error}"))?;
    let mut found = Vec::new();
    walk(tokens, &mut found)?;
    Ok(found)
}

fn walk(tokens: TokenStream, found: &mut Vec<String>) -> Result<()> {
    let mut after_function = false;
    for token in tokens {
        let mut is_function = false;
        match token {
            TokenTree::Ident(ident) => is_function = FUNCTIONS.iter().any(|name| ident == name),
            TokenTree::Group(group) => {
                if after_function && group.delimiter() == Delimiter::Parenthesis {
                    found.push(sentence(group.stream())?);
                }
                walk(group.stream(), found)?;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        after_function = is_function;
    }
    Ok(())
}

/// The literal that a function is called with.
fn sentence(arguments: TokenStream) -> Result<String> {
    let first = arguments.into_iter().next();
    let literal = match &first {
        Some(TokenTree::Literal(literal)) => syn::parse_str::<syn::LitStr>(&literal.to_string()).ok(),
        _ => None,
    };
    let shown = first.map_or_else(|| "nothing".to_owned(), |token| token.to_string());
    let sentence = literal.with_context(|| format!("gettext is called with {shown}: it takes a literal"))?.value();
    // An empty one is the header of a translation.
    ensure!(!sentence.is_empty(), "gettext is called with an empty sentence");
    Ok(sentence)
}

fn escaped(sentence: &str) -> String {
    sentence.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n").replace('\t', "\\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_are_found_in_code_and_macros() {
        let code = r#"
            fn a<'a>() { b(&gettext("One"), 'x'); gettext_f("Two {name}", &[("name", &gettext("Three"))]) }
            view! { gtk::Label { set_label: &gettext("Fo\"ur, \
                     and five") } }
            // gettext("no sentence")
            const S: &str = "gettext(\"nor this\")";
        "#;
        assert_eq!(sentences_in(code).unwrap(), ["One", "Two {name}", "Three", "Fo\"ur, and five"]);
    }

    #[test]
    fn what_no_translator_would_see_is_refused() {
        assert!(sentences_in("gettext(NAME)").is_err());
        assert!(sentences_in("gettext(&format!(\"a\"))").is_err());
        assert!(sentences_in("gettext(\"\")").is_err());
        assert!(sentences_in("gettext(\"").is_err());
    }

    #[test]
    fn quotes_are_escaped() {
        assert_eq!(escaped("a \"b\"\n\\"), "a \\\"b\\\"\\n\\\\");
    }
}
