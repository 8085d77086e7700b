//! The layers: which crate may use which. This is the map of the house as code; a crate that is not on it fails the test.
//!
//! A crate uses only crates of lines above its own in its column, and `api`. Crates on one line do not know each other. What
//! runs a person's desk never links an engine crate, not even through others.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{Metadata, MetadataCommand, Package, PackageId};

/// The engine's lines, from the top.
const ENGINE: &[&[&str]] = &[
    &["device"],
    &["disk"],
    &["net"],
    &["kvm"],
    &["chipset", "storage", "display", "nic", "sound", "usb"],
    &["virtio"],
    &["machine"],
    &["vm"],
    &["nat", "switch"],
];

/// The desk's lines, from the top.
const DESK: &[&[&str]] = &[&["library"], &["console"], &["audio"], &["app", "view", "ctl"]];

/// In no column: they may use what they need.
const FREE: &[&str] = &["xtask", "tests"];

/// Crates of devices and of what devices use: they run on any hypervisor, so they know of none.
const WITHOUT_KVM: &[&str] =
    &["device", "disk", "net", "chipset", "storage", "display", "nic", "sound", "usb", "virtio"];

/// Outside crates that only one of ours uses.
const ONLY_IN: &[(&str, &str)] = &[
    ("kvm-ioctls", "kvm"),
    ("kvm-bindings", "kvm"),
    ("libslirp", "nat"),
    ("libslirp-sys", "nat"),
    ("imago", "disk"),
    ("winit", "view"),
    ("pixels", "view"),
    ("cpal", "audio"),
    ("nusb", "library"),
    ("rubato", "audio"),
];

/// Toolkits that engines and terminal tools must start without.
const WINDOWS: &[&str] = &["gtk4", "libadwaita", "vte4", "relm4", "winit", "pixels", "cpal"];

struct Workspace(Metadata);

impl Workspace {
    fn read() -> Self {
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
        // Tests run behind a build, so everything for this platform is here already.
        let options = ["--offline", "--filter-platform", "x86_64-unknown-linux-gnu"].map(str::to_owned);
        Self(MetadataCommand::new().manifest_path(manifest).other_options(options).exec().unwrap())
    }

    fn packages(&self) -> Vec<&Package> {
        self.0.workspace_packages()
    }

    /// A package's own dependencies of every kind, by name; workspace crates without their prefix.
    fn uses(package: &Package) -> BTreeSet<&str> {
        package.dependencies.iter().map(|dependency| short(&dependency.name)).collect()
    }

    /// Names of everything that is linked into a package, with what that links.
    fn linked(&self, package: &PackageId) -> BTreeSet<&str> {
        let resolve = self.0.resolve.as_ref().unwrap();
        let nodes: BTreeMap<_, _> = resolve.nodes.iter().map(|node| (&node.id, node)).collect();
        let normal = cargo_metadata::DependencyKind::Normal;
        let (mut seen, mut queue) = (BTreeSet::new(), vec![package]);
        while let Some(id) = queue.pop() {
            for dependency in &nodes[id].deps {
                let linked = dependency.dep_kinds.iter().any(|kind| kind.kind == normal);
                if linked && seen.insert(&dependency.pkg) {
                    queue.push(&dependency.pkg);
                }
            }
        }
        seen.into_iter().map(|id| short(&self.0[id].name)).collect()
    }
}

/// `dormer-kvm` is `kvm` here, as in `Cargo.toml`.
fn short(name: &str) -> &str {
    name.strip_prefix("dormer-").unwrap_or(name)
}

/// The column and the line of a crate.
fn place(name: &str) -> Option<(&'static str, usize)> {
    [("engine", ENGINE), ("desk", DESK)]
        .into_iter()
        .find_map(|(column, lines)| Some((column, lines.iter().position(|line| line.contains(&name))?)))
}

#[test]
fn every_crate_has_its_place() {
    for package in Workspace::read().packages() {
        let name = short(&package.name);
        assert!(place(name).is_some() || name == "api" || FREE.contains(&name), "{name} is on no line of DESIGN §2");
    }
}

#[test]
fn crates_use_only_lines_above() {
    let workspace = Workspace::read();
    let ours: BTreeSet<_> = workspace.packages().iter().map(|package| short(&package.name)).collect();
    for package in workspace.packages() {
        let name = short(&package.name);
        if FREE.contains(&name) {
            continue;
        }
        for used in Workspace::uses(package).into_iter().filter(|used| ours.contains(used)) {
            if used == "api" {
                continue;
            }
            let (own, other) = (place(name), place(used));
            let allowed = matches!((own, other), (Some((a, own)), Some((b, other))) if a == b && other < own);
            assert!(allowed, "{name} uses {used}, which is not above it ({own:?}, {other:?})");
        }
    }
}

#[test]
fn devices_know_no_hypervisor() {
    let workspace = Workspace::read();
    for package in workspace.packages() {
        let name = short(&package.name);
        if WITHOUT_KVM.contains(&name) {
            let linked = workspace.linked(&package.id);
            for forbidden in ["kvm", "kvm-ioctls", "kvm-bindings"] {
                assert!(!linked.contains(forbidden), "{name} links {forbidden}");
            }
        }
    }
}

#[test]
fn the_desk_links_no_engine() {
    let workspace = Workspace::read();
    for package in workspace.packages() {
        let name = short(&package.name);
        if place(name).is_some_and(|(column, _)| column == "desk") {
            let linked = workspace.linked(&package.id);
            let engine = linked.iter().find(|linked| place(linked).is_some_and(|(column, _)| column == "engine"));
            assert_eq!(engine, None, "{name} links a crate of the engine");
        }
    }
}

#[test]
fn engines_and_the_terminal_need_no_toolkit() {
    let workspace = Workspace::read();
    for package in workspace.packages() {
        let name = short(&package.name);
        if name == "ctl" || place(name).is_some_and(|(column, _)| column == "engine") {
            let linked = workspace.linked(&package.id);
            let toolkit = WINDOWS.iter().find(|toolkit| linked.contains(*toolkit));
            assert_eq!(toolkit, None, "{name} links a toolkit");
        }
    }
}

#[test]
fn the_viewer_needs_no_gtk() {
    let workspace = Workspace::read();
    let packages = workspace.packages();
    let view = packages.iter().find(|package| short(&package.name) == "view").expect("the viewer");
    let linked = workspace.linked(&view.id);
    assert_eq!(["glib", "gtk4", "libadwaita", "relm4"].iter().find(|gtk| linked.contains(*gtk)), None);
}

#[test]
fn outside_crates_stay_behind_their_one_user() {
    for package in Workspace::read().packages() {
        let name = short(&package.name);
        for (outside, owner) in ONLY_IN {
            let used = Workspace::uses(package).contains(outside);
            assert!(!used || name == *owner, "{name} uses {outside}, which is {owner}'s alone");
        }
    }
}
