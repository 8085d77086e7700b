use super::*;

const XML: &str = r#"<?xml version="1.0"?>
<libosinfo version="0.0.1">
  <os id="http://example.org/one">
    <short-id>one1</short-id>
    <name>One &amp; Only 1</name><name xml:lang="de">Eins</name>
    <family>linux</family>
    <release-date>2020-01-01</release-date>
    <media arch="x86_64"><iso><volume-id>^One 1</volume-id></iso></media>
    <resources arch="all">
      <minimum><ram>536870912</ram><storage>1073741825</storage></minimum>
      <recommended><n-cpus>2</n-cpus><ram>2147483648</ram></recommended>
    </resources>
  </os>
  <os id="http://example.org/two">
    <short-id>one2</short-id>
    <name>One 2</name>
    <family>linux</family>
    <derives-from id="http://example.org/one"/>
    <release-date>2024-01-01</release-date>
    <firmware arch="x86_64" type="efi"/>
    <firmware arch="x86_64" type="bios" supported="false"/>
    <media arch="x86_64" live="true">
      <iso><volume-id>One (1|2) live$</volume-id><publisher-id>ONE</publisher-id></iso>
    </media>
    <media arch="aarch64"><iso><volume-id>One 2 arm</volume-id></iso></media>
    <media arch="i686"><iso><volume-id>One 2 small</volume-id></iso></media>
    <media arch="x86_64"><iso><volume-id>One 1</volume-id><volume-size>4096</volume-size></iso></media>
    <media arch="x86_64"><iso><volume-id>(?!x)bad</volume-id></iso></media>
    <media arch="x86_64"><iso></iso></media>
    <resources arch="all" inherit="true"/>
  </os>
</libosinfo>"#;

fn database() -> Database {
    let mut database = Database::default();
    parse(XML).unwrap().into_iter().for_each(|os| database.add(os));
    database
}

fn volume(name: &str, publisher: &str, bytes: u64) -> Volume {
    Volume { volume: name.into(), publisher: publisher.into(), bytes, ..Volume::default() }
}

#[test]
fn media_are_matched() {
    let database = database();
    let identify = |name: &str, publisher: &str, bytes| database.identify(&volume(name, publisher, bytes));
    let one = identify("One 1.5", "", 1).unwrap();
    assert_eq!((one.id.as_deref(), one.name.as_str()), (Some("one1"), "One & Only 1"));
    assert_eq!((one.live, one.foreign.clone()), (false, None));
    assert_eq!(one.wants, Wants { processors: Some(2), memory: Some(2048), disk: Some(2), least_disk: Some(2) });
    let live = identify("One 1 live", "ONE", 1).unwrap();
    assert_eq!((live.id.as_deref(), live.live), (Some("one2"), true), "who says more wins");
    assert_eq!(live.wants.memory, Some(2048), "inherited");
    assert_eq!(live.firmware, Firmware::Uefi);
    assert_eq!(identify("One 1 live", "TWO", 1).unwrap().id.as_deref(), Some("one1"));
    assert_eq!(identify("One 1", "", 4096).unwrap().id.as_deref(), Some("one2"), "an exact size says most");
    assert_eq!(identify("One 2 small", "", 1).unwrap().firmware, Firmware::Bios, "no UEFI for 32-bit systems");
    assert_eq!(identify("One 2 arm", "", 1).unwrap().foreign.as_deref(), Some("aarch64"));
    assert_eq!(identify("Two", "", 1), None);
    assert_eq!(identify("", "", 0), None);
    assert_eq!(database.system("one2").unwrap().name, "One 2");
    assert_eq!(database.system("three"), None);
    assert_eq!(database.known().len(), 2);
}

#[test]
fn devices_suit_the_age() {
    let os = |family: &str, version: &str, released: &str| {
        Os { family: family.into(), version: version.into(), released: released.into(), ..Os::default() }.devices()
    };
    assert_eq!(os("winnt", "10.0", "2018"), (Profile::Windows, Firmware::Uefi));
    assert_eq!(os("winnt", "6.1", "2009"), (Profile::Windows, Firmware::Bios));
    assert_eq!(os("winnt", "5.1", "2001"), (Profile::Legacy, Firmware::Bios));
    assert_eq!(os("msdos", "6.22", "1994"), (Profile::Legacy, Firmware::Bios));
    assert_eq!(os("linux", "12", "2023-06-10"), (Profile::Linux, Firmware::Uefi));
    assert_eq!(os("linux", "5", ""), (Profile::Linux, Firmware::Uefi));
    assert_eq!(os("linux", "3", "2004-01-01"), (Profile::Legacy, Firmware::Bios));
    assert_eq!(os("freebsd", "14.0", "2023"), (Profile::Linux, Firmware::Uefi));
}

#[test]
fn hints_save_no_match() {
    for (pattern, text, fits) in [
        ("^One?", "On", true),
        ("^a|b", "b", true),
        ("xy(a|b)", "a xyb", true),
        ("xy(a|b)", "a xab", false),
        ("xyz?", "wxy", true),
        (r"xy\(z|abc", "abc", true),
        (r"x\.y", "x.y", true),
        ("(xy|z)?abc", "abc", true),
        ("^Fedora-WS-Live-40", "Fedora-WS-Live-40-1-14", true),
        ("^Fedora", "Debian", false),
        ("(", "(", false),
        ("x", "", false),
        ("(((((a{1000}){1000}){1000}){1000}){1000})", "aaa", false),
    ] {
        assert_eq!(found(pattern, text), fits, "{pattern} in {text}");
    }
}

#[test]
fn broken_files_are_survived() {
    for bad in
        ["", "<", "<os", "</os></os>", "<libosinfo><os id='x'><short-id>a", "<os><os><os></os></os></os>", "&bad;"]
    {
        let _ = parse(bad);
    }
}

#[test]
fn the_real_database() {
    let start = std::time::Instant::now();
    let database = Database::load();
    if database.systems.is_empty() {
        eprintln!("SKIPPED: osinfo-db is not installed");
        return;
    }
    let loaded = start.elapsed();
    let identify = |name: &str, publisher: &str, application: &str, system: &str| {
        let volume = Volume {
            volume: name.into(),
            publisher: publisher.into(),
            application: application.into(),
            system: system.into(),
            ..Volume::default()
        };
        database.identify(&volume).map(|system| (system.id.unwrap_or_default(), system.profile, system.firmware))
    };
    let debian = identify("Debian 11.6.0 amd64 n", "", "", "").unwrap();
    assert_eq!(debian, ("debian11".into(), Profile::Linux, Firmware::Uefi));
    let windows = identify("CCCOMA_X64FRE_EN-US_DV9", "MICROSOFT CORPORATION", "CDIMAGE", "").unwrap();
    assert_eq!((windows.1, windows.2), (Profile::Windows, Firmware::Uefi), "{}", windows.0);
    let seven = identify("GRMCPRXFRER_EN_DVD", "MICROSOFT CORPORATION", "", "").unwrap();
    assert_eq!(seven, ("win7".into(), Profile::Windows, Firmware::Bios));
    let fedora = identify("Fedora-WS-Live-37-1-7", "", "", "LINUX").unwrap();
    assert_eq!(fedora.0, "fedora37");
    let start = std::time::Instant::now();
    assert_eq!(identify("Something quite different", "NOBODY", "NOTHING", "NONE"), None);
    eprintln!("{} systems, loaded in {loaded:?}, asked in {:?}", database.systems.len(), start.elapsed());
    assert!(loaded + start.elapsed() < std::time::Duration::from_secs(10), "far too slow");
}
