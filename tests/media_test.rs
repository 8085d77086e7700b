//! Builds what other tests boot. It runs on the machine itself and before them.

use dormer_tests::media::{self, Built};

fn build(medium: Built, least: u64) {
    let began = std::time::Instant::now();
    let path = medium.build().unwrap_or_else(|error| panic!("{error:#}"));
    if path.is_file() {
        media::check_size(&path, least).unwrap();
    }
    println!("{} is there after {:.0} s", path.display(), began.elapsed().as_secs_f32());
}

/// `cargo xtask demo` calls it by its name.
#[test]
fn the_text_installer_is_built() {
    build(media::INSTALLER_TEXT, 40 << 20);
}

#[test]
fn the_graphical_installer_is_built() {
    build(media::INSTALLER_GRAPHICAL, 60 << 20);
}

#[test]
fn an_installed_debian_is_built() {
    build(media::DEBIAN_DISK, 100 << 20);
}

#[test]
fn a_live_desktop_is_built() {
    build(media::LIVE_DESKTOP, 200 << 20);
}

#[test]
fn ipxe_for_uefi_is_built() {
    build(media::IPXE_UEFI, 1 << 20);
}

#[test]
fn a_stock_qmp_client_is_fetched() {
    build(media::QMP_CLIENT, 0);
}

#[test]
fn media_of_packages_are_there() {
    for medium in [media::memtest(), media::grub_rescue(), media::ipxe()] {
        media::check_size(&medium.expect("`cargo xtask packages` installs it"), 1 << 20).unwrap();
    }
}
