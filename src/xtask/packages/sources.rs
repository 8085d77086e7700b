//! Which archive this machine installs from, read from apt's own source files (sources.list(5)).
//!
//! Debian 12 has no GTK that is new enough. There, Debian 13 is added as a second release of the *same* archive: the
//! URI and keyring of the machine's own source, so that mirrors and caches people have set up go on being used.

use std::{fs, path::Path};

/// One source: a stanza of a `.sources` file, or a line of a `.list` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Source {
    /// Where the archive is.
    pub(super) uris: Vec<String>,
    /// Its suites.
    pub(super) suites: Vec<String>,
    /// Their parts: `main` and others.
    pub(super) components: Vec<String>,
    /// The keyring it names, if it names one by its path.
    pub(super) keyring: Option<String>,
}

/// The keyring of Debian's archive, where a source names none.
const ARCHIVE_KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Reads all enabled binary sources under `etc_apt`.
pub(super) fn read(etc_apt: &Path) -> Vec<Source> {
    let folder = fs::read_dir(etc_apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut files: Vec<_> = folder.map(|entry| entry.path()).collect();
    files.push(etc_apt.join("sources.list"));
    files.sort();
    let mut sources = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("sources") => sources.extend(stanzas(&text)),
            Some("list") => sources.extend(text.lines().filter_map(line)),
            _ => {}
        }
    }
    sources
}

/// The deb822 stanzas of a `.sources` file.
fn stanzas(text: &str) -> Vec<Source> {
    // A comment line is as if it were not there: it does not end a stanza.
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(stanza).collect()
}

fn stanza(lines: &[&str]) -> Option<Source> {
    let words = |value: &str| value.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let mut source = Source::default();
    let (mut binary, mut enabled, mut field) = (false, true, String::new());
    for line in lines {
        let value = match line.split_once(':') {
            Some((name, value)) if !line.starts_with([' ', '\t']) => {
                field = name.to_ascii_lowercase();
                value
            }
            // A continuation of the field above.
            _ => line,
        };
        match field.as_str() {
            "types" => binary |= words(value).iter().any(|kind| kind == "deb"),
            "uris" => source.uris.extend(words(value)),
            "suites" => source.suites.extend(words(value)),
            "components" => source.components.extend(words(value)),
            "enabled" => enabled = !matches!(value.trim(), "no" | "false" | "0"),
            // The key itself may stand here too; a path is what we can use again.
            "signed-by" if value.trim().starts_with('/') => source.keyring = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    (binary && enabled && !source.uris.is_empty()).then_some(source)
}

/// A one-line source: `deb [options] uri suite component…`.
fn line(text: &str) -> Option<Source> {
    let rest = text.split('#').next()?.trim().strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t'])?.trim_start();
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace().map(str::to_owned);
    let (uri, suite) = (words.next()?, words.next()?);
    let keyring = options.split_whitespace().find_map(|option| option.strip_prefix("signed-by="));
    Some(Source {
        uris: vec![uri],
        suites: vec![suite],
        components: words.collect(),
        keyring: keyring.filter(|path| path.starts_with('/')).map(str::to_owned),
    })
}

/// What a machine's sources say about where GTK can come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Release {
    /// Debian 12 alone: this source is what a second one for Debian 13 is made after.
    Bookworm(Source),
    /// Debian 12 that knows Debian 13 already.
    BookwormWithTrixie,
    /// Debian 13 or later, or another system with apt: its own packages are taken.
    Own,
}

impl Release {
    /// Judges by the sources, not by os-release: that comes from a package which Debian 13 may already have replaced.
    pub(super) fn of(sources: &[Source]) -> Self {
        let with = |suite: &str| {
            let suite = suite.to_owned();
            sources
                .iter()
                .find(move |source| source.suites.contains(&suite) && source.components.contains(&"main".into()))
        };
        match (with("bookworm"), with("trixie")) {
            (Some(_), Some(_)) => Self::BookwormWithTrixie,
            (Some(bookworm), None) => Self::Bookworm(bookworm.clone()),
            (None, _) => Self::Own,
        }
    }
}

/// The deb822 source for Debian 13 from the archive that `bookworm` names.
pub(super) fn trixie_source(bookworm: &Source) -> String {
    let keyring = bookworm.keyring.as_deref().unwrap_or(ARCHIVE_KEYRING);
    format!(
        "# Written by Dormer's `cargo xtask`: GTK and QEMU of Debian 13. Pinned in preferences.d/dormer-trixie.\n\
         Types: deb\nURIs: {}\nSuites: trixie trixie-updates\nComponents: main\nSigned-By: {keyring}\n",
        bookworm.uris.join(" ")
    )
}

/// Keeps everything else where it is: below the 500 of the machine's own release, so that only what is asked for by
/// release, and what that needs, comes from Debian 13.
pub(super) const TRIXIE_PREFERENCES: &str = "Explanation: written by Dormer's cargo xtask\n\
     Package: *\nPin: release n=trixie\nPin-Priority: 100\n\n\
     Package: *\nPin: release n=trixie-updates\nPin-Priority: 100\n";

#[cfg(test)]
mod tests {
    use super::*;

    const DEBIAN_12: &str = "Types: deb\n# a snapshot\nURIs: http://archive.example/debian\n\
        Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: /usr/share/keyrings/x.gpg\n\n\
        Types: deb\nURIs: http://archive.example/security\nSuites: bookworm-security\nComponents: main\n\n\
        Types: deb-src\nURIs: http://archive.example/debian\nSuites: trixie\nComponents: main\n\n\
        Enabled: no\nTypes: deb\nURIs: http://archive.example/debian\nSuites: trixie\nComponents: main\n";

    #[test]
    fn deb822_stanzas_are_read() {
        let sources = stanzas(DEBIAN_12);
        assert_eq!(sources.len(), 2, "source packages and disabled stanzas are left out");
        assert_eq!(sources[0].uris, ["http://archive.example/debian"]);
        assert_eq!(sources[0].suites, ["bookworm", "bookworm-updates"]);
        assert_eq!(sources[0].keyring.as_deref(), Some("/usr/share/keyrings/x.gpg"));
        assert_eq!(sources[1].keyring, None);
    }

    #[test]
    fn folded_fields_and_inline_keys_are_read() {
        let text = "Types: deb deb-src\nURIs: http://a.example/\n http://b.example/\nSuites: bookworm\n\
                    Components: main\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINB: /x\n";
        let sources = stanzas(text);
        assert_eq!(sources[0].uris, ["http://a.example/", "http://b.example/"]);
        assert_eq!(sources[0].keyring, None);
    }

    #[test]
    fn one_line_sources_are_read() {
        let source =
            line("deb [arch=amd64 signed-by=/k.gpg] http://a.example/debian bookworm main contrib # x").unwrap();
        assert_eq!((source.uris[0].as_str(), source.suites[0].as_str()), ("http://a.example/debian", "bookworm"));
        assert_eq!(source.components, ["main", "contrib"]);
        assert_eq!(source.keyring.as_deref(), Some("/k.gpg"));
        for text in ["# deb http://a bookworm main", "deb-src http://a bookworm main", "", "deb", "deb [x http://a"] {
            assert_eq!(line(text), None, "{text}");
        }
    }

    #[test]
    fn releases_are_told_apart() {
        let own = |suite: &str| line(&format!("deb http://a.example {suite} main")).unwrap();
        assert_eq!(Release::of(&[own("bookworm-security"), own("bookworm")]), Release::Bookworm(own("bookworm")));
        assert_eq!(Release::of(&[own("bookworm"), own("trixie")]), Release::BookwormWithTrixie);
        assert_eq!(Release::of(&[own("trixie")]), Release::Own);
        assert_eq!(Release::of(&[own("noble")]), Release::Own);
        assert_eq!(Release::of(&[]), Release::Own);
    }

    #[test]
    fn trixie_comes_from_the_same_archive() {
        let text = trixie_source(&stanzas(DEBIAN_12)[0]);
        let again = stanzas(&text);
        assert_eq!(again[0].uris, ["http://archive.example/debian"]);
        assert_eq!(again[0].suites, ["trixie", "trixie-updates"]);
        assert_eq!(again[0].keyring.as_deref(), Some("/usr/share/keyrings/x.gpg"));
    }

    #[test]
    fn all_files_of_a_machine_are_read() {
        let etc = tempfile::tempdir().unwrap();
        fs::create_dir(etc.path().join("sources.list.d")).unwrap();
        fs::write(etc.path().join("sources.list"), "deb http://a.example bookworm main\n").unwrap();
        fs::write(etc.path().join("sources.list.d/x.sources"), DEBIAN_12).unwrap();
        fs::write(etc.path().join("sources.list.d/y.list.off"), "deb http://b.example trixie main\n").unwrap();
        assert_eq!(read(etc.path()).len(), 3);
    }
}
