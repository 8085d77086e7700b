//! Finds the sentences in the app's Rust code: the literal in `gettext("…")` and `gettext_f("…", …)`, and the two of
//! `ngettext_f("…", "…", …)`, which says one thing of one and of many. Inside macros too, where most of a relm4 view stands. gettext's own `xgettext` reads Rust only since 0.24, which Debian 13 has not.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// Functions whose first arguments are sentences, and how many.
const FUNCTIONS: [(&str, usize); 3] = [("gettext", 1), ("gettext_f", 1), ("ngettext_f", 2)];

/// A sentence, and how it is of many.
type Sentence = (String, Option<String>);

/// A template of all sentences below `src/app`.
///
/// # Errors
/// A file is no Rust, or gives one of the functions something else than a literal, which no translator would ever see.
pub(super) fn template(root: &Path) -> Result<String> {
    let mut files = Vec::new();
    collect(&root.join("src/app"), &mut files)?;
    files.sort();
    let mut sentences: BTreeMap<Sentence, Vec<String>> = BTreeMap::new();
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
    for (index, sentence) in order.iter().enumerate() {
        // gettext knows a sentence by its first form.
        let again = order[..index].iter().any(|(one, _)| *one == sentence.0);
        ensure!(!again, "“{}” is said of one and many, and elsewhere otherwise", sentence.0);
        let _ = writeln!(text, "\n#: {}", sentences[sentence].join(" "));
        let (one, many) = sentence;
        if one.contains('{') {
            text.push_str("#, python-brace-format\n");
        }
        let _ = writeln!(text, "msgid \"{}\"", escaped(one));
        let _ = match many {
            None => writeln!(text, "msgstr \"\""),
            Some(many) => {
                writeln!(text, "msgid_plural \"{}\"\nmsgstr[0] \"\"\nmsgstr[1] \"\"", escaped(many))
            }
        };
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
"Plural-Forms: nplurals=INTEGER; plural=EXPRESSION;\n"
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
fn sentences_in(code: &str) -> Result<Vec<Sentence>> {
    let tokens = code.parse::<TokenStream>().map_err(|error| anyhow::anyhow!("not Rust: {error}"))?;
    let mut found = Vec::new();
    walk(tokens, &mut found)?;
    Ok(found)
}

fn walk(tokens: TokenStream, found: &mut Vec<Sentence>) -> Result<()> {
    let mut after: Option<&(&str, usize)> = None;
    for token in tokens {
        let mut function = None;
        match token {
            TokenTree::Ident(ident) => function = FUNCTIONS.iter().find(|(name, _)| ident == name),
            TokenTree::Group(group) => {
                if let (Some((name, count)), Delimiter::Parenthesis) = (after, group.delimiter()) {
                    let mut literals = literals(name, *count, group.stream())?.into_iter();
                    found.extend(literals.next().map(|one| (one, literals.next())));
                }
                walk(group.stream(), found)?;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        after = function;
    }
    Ok(())
}

/// The literals that a function is called with first.
fn literals(function: &str, count: usize, arguments: TokenStream) -> Result<Vec<String>> {
    let mut arguments = arguments.into_iter();
    let mut found = Vec::new();
    for _ in 0..count {
        let token = arguments.next();
        let literal = match &token {
            Some(TokenTree::Literal(literal)) => syn::parse_str::<syn::LitStr>(&literal.to_string()).ok(),
            _ => None,
        };
        let shown = token.map_or_else(|| "nothing".to_owned(), |token| token.to_string());
        let sentence =
            literal.with_context(|| format!("{function} is called with {shown}: it takes a literal"))?.value();
        // An empty one is the header of a translation.
        ensure!(!sentence.is_empty(), "{function} is called with an empty sentence");
        found.push(sentence);
        // The comma.
        arguments.next();
    }
    Ok(found)
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
        let found: Vec<_> = sentences_in(code).unwrap().into_iter().map(|(one, many)| (one, many.is_some())).collect();
        let expected = ["One", "Two {name}", "Three", "Fo\"ur, and five"].map(|one| (one.to_owned(), false));
        assert_eq!(found, expected);
    }

    #[test]
    fn of_one_and_of_many() {
        let code = r#"ngettext_f("{count} machine", "{count} machines", count, &[])"#;
        let sentence = ("{count} machine".to_owned(), Some("{count} machines".to_owned()));
        assert_eq!(sentences_in(code).unwrap(), [sentence]);
        assert!(sentences_in(r#"ngettext_f("{count} machine", many, count, &[])"#).is_err());
        assert!(sentences_in(r#"ngettext_f("{count} machine")"#).is_err());

        let root = tempfile::tempdir().unwrap();
        let app = root.path().join("src/app");
        fs::create_dir_all(&app).unwrap();
        fs::write(app.join("a.rs"), code).unwrap();
        let text = template(root.path()).unwrap();
        let entry = "msgid \"{count} machine\"\nmsgid_plural \"{count} machines\"\nmsgstr[0] \"\"\nmsgstr[1] \"\"\n";
        assert!(text.contains(entry), "{text}");
        fs::write(app.join("b.rs"), r#"gettext("{count} machine")"#).unwrap();
        assert!(template(root.path()).is_err());
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
