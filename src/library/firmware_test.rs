use super::*;

fn descriptor(code: &Path, template: &Path, features: &str, format: &str) -> String {
    format!(
        r#"{{"description": "x", "interface-types": ["uefi"],
            "mapping": {{"device": "flash", "executable": {{"filename": "{}", "format": "{format}"}},
                         "nvram-template": {{"filename": "{}", "format": "raw"}}}},
            "targets": [{{"architecture": "x86_64", "machines": ["pc-i440fx-*", "pc-q35-*"]}}],
            "features": [{features}], "tags": []}}"#,
        code.display(),
        template.display()
    )
}

#[test]
fn the_first_that_suits_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, size: usize| {
        let path = folder.path().join(name);
        std::fs::write(&path, vec![0; size]).unwrap();
        path
    };
    let (code2, vars2) = (file("code2.fd", (2 << 20) - (128 << 10)), file("vars2.fd", 128 << 10));
    let (code4, vars4) = (file("code4.fd", (4 << 20) - 540_672), file("vars4.fd", 540_672));
    let (user, system) = (folder.path().join("user"), folder.path().join("system"));
    std::fs::create_dir(&user).unwrap();
    std::fs::create_dir(&system).unwrap();
    let put = |name: &str, text: &str| std::fs::write(system.join(name), text).unwrap();
    put("10-gone.json", &descriptor(Path::new("/no/such"), &vars4, "", "raw"));
    put("20-qcow2.json", &descriptor(&code4, &vars4, "", "qcow2"));
    put("30-secure.json", &descriptor(&code4, &vars4, r#""requires-smm", "secure-boot""#, "raw"));
    put("40-small.json", &descriptor(&code2, &vars2, r#""acpi-s3""#, "raw"));
    put("50-hidden.json", &descriptor(&code2, &vars4, "", "raw"));
    put("60-good.json", &descriptor(&code4, &vars4, r#""acpi-s3", "verbose-dynamic""#, "raw"));
    put("70-bad.json", "{");
    put("80-other.json", r#"{"interface-types": ["bios"], "mapping": {"device": "memory"}, "targets": []}"#);
    std::fs::write(user.join("50-hidden.json"), "").unwrap();

    let folders = [user, system, PathBuf::from("/no/such/folder")];
    let found = candidates(&folders);
    let codes: Vec<_> = found.iter().map(|uefi| uefi.code.clone()).collect();
    assert_eq!(codes, [code2.clone(), code4.clone()]);
    assert_eq!(choose(found.clone(), None).unwrap().code, code4, "the 4 MB layout for new machines");
    assert_eq!(choose(found.clone(), Some(128 << 10)).unwrap().code, code2, "the machine's own for old ones");
    assert_eq!(choose(found.clone(), Some(1)), Err(Error::NoMatch(1)));
    assert_eq!(choose(found[..1].to_vec(), None).unwrap().code, code2, "better than none");
    assert_eq!(choose(Vec::new(), Some(1)), Err(Error::NoUefi));
    assert_eq!(choose(Vec::new(), None), Err(Error::NoUefi));
}

#[test]
fn what_is_installed() {
    match uefi(None) {
        Ok(uefi) => {
            assert!(uefi.code.is_file() && uefi.template.is_file());
            assert!(!uefi.code.to_string_lossy().contains("secboot"), "{uefi:?}");
        }
        Err(error) => eprintln!("SKIPPED: {error}"),
    }
    match bios().and_then(|_| video_bios()) {
        Ok(path) => assert!(path.is_file()),
        Err(error) => eprintln!("SKIPPED: {error}"),
    }
}
