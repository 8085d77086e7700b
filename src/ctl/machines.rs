//! Machines in the library: check, list, show, create, rename, delete.

use std::path::Path;

use anyhow::{Result, bail};
use api::machine::{DriveKind, Firmware, ImageFormat, Profile, Protocol, Wants};
use api::settings::{CardKey, Key};
use library::media::{self, Medium, MediumKind, osinfo};
use library::{Entry, Library, Needs, NewDisk, NewMachine, Room, State, engine, firmware, host, kvm};
use serde_json::{Value, json};

use crate::arguments::{Choices, LauncherAction};
use crate::output::{self, Output, table};

/// `check`: everything that machines need here, and what to do about what is missing.
pub(crate) fn check(out: Output) -> Result<()> {
    let kvm = kvm::check();
    let mut items = vec![("kvm", kvm == kvm::KvmState::Ready, kvm.sentence(), kvm.advice().map(ToOwned::to_owned))];
    let found = |what: &str, path: Result<std::path::PathBuf, String>| match path {
        Ok(path) => (true, format!("{what}: {}", path.display()), None),
        Err(sentence) => (false, format!("{what} is missing"), Some(sentence)),
    };
    let say = |error: &dyn std::fmt::Display| error.to_string();
    let uefi = firmware::uefi(None).map(|uefi| uefi.code).map_err(|error| say(&error));
    let (ok, sentence, advice) = found("UEFI firmware", uefi);
    items.push(("uefi", ok, sentence, advice));
    let bios = firmware::bios().and_then(|path| firmware::video_bios().map(|_| path)).map_err(|error| say(&error));
    let (ok, sentence, advice) = found("BIOS", bios);
    items.push(("bios", ok, sentence, advice));
    for program in ["dormer-vm", "dormer-nat", "dormer-switch"] {
        let (ok, sentence, advice) = found(program, engine::program(program).map_err(|error| say(&error)));
        items.push((program, ok, sentence, advice));
    }
    let resources = host::resources();
    let sentence = format!("{}, {} MiB of memory", processors(resources.processors), resources.memory);
    items.push(("host", true, sentence, None));

    let good = items.iter().all(|(_, ok, _, _)| *ok);
    out.data(
        || {
            let item = |(name, ok, sentence, advice): &(&str, bool, String, Option<String>)| {
                json!({ "name": name, "ok": ok, "sentence": sentence, "advice": advice })
            };
            json!({ "ok": good, "checks": items.iter().map(item).collect::<Vec<_>>() })
        },
        || {
            let mut text = String::new();
            for (_, ok, sentence, advice) in &items {
                text.push_str(&format!("{} {sentence}\n", if *ok { "ok     " } else { "MISSING" }));
                for line in advice.iter().flat_map(|advice| advice.lines()) {
                    text.push_str(&format!("        {line}\n"));
                }
            }
            text
        },
    )?;
    match items.into_iter().find(|(_, ok, _, _)| !ok) {
        None => Ok(()),
        Some((_, _, sentence, _)) => bail!("this computer cannot run all machines: {}", sentence.trim_end_matches('.')),
    }
}

/// A number of MiB as people write it.
fn mebibytes(mib: u64) -> String {
    if mib.is_multiple_of(1024) { format!("{} GiB", mib / 1024) } else { format!("{mib} MiB") }
}

fn processors(count: u32) -> String {
    if count == 1 { "1 processor".into() } else { format!("{count} processors") }
}

fn brief(entry: &Entry) -> Value {
    let machine = &entry.machine;
    json!({
        "name": machine.name,
        "uuid": machine.uuid,
        "state": entry.state().word(),
        "group": machine.group,
        "os": machine.os,
        "disposable": entry.disposable,
        "last-start": entry.last_start().and_then(|time| jiff::Timestamp::try_from(time).ok()).map(|time| time.to_string()),
        "folder": entry.folder,
    })
}

/// `list`.
pub(crate) fn list(library: &Library, out: Output) -> Result<()> {
    let (kept, disposable) = (library.list()?, library.list_disposable()?);
    let machines: Vec<_> = kept.machines.iter().chain(&disposable.machines).collect();
    let broken = &kept.broken;
    out.data(
        || {
            let broken = broken.iter().map(|broken| {
                let name = broken.folder.file_name().unwrap_or_default().to_string_lossy();
                json!({ "name": name, "state": "broken", "why": broken.why, "folder": broken.folder })
            });
            machines.iter().map(|entry| brief(entry)).chain(broken).collect()
        },
        || {
            let mut rows = Vec::new();
            for entry in &machines {
                let machine = &entry.machine;
                let what = format!("{}, {}", processors(machine.processors), mebibytes(machine.memory));
                let os = machine.os.clone().or_else(|| machine.system.clone()).unwrap_or_else(|| "-".into());
                rows.push(vec![machine.name.clone(), entry.state().word().to_owned(), os, what]);
            }
            for broken in broken {
                let name = broken.folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
                rows.push(vec![name, "broken".to_owned(), "-".to_owned(), format!("machine.toml: {}", broken.why)]);
            }
            if rows.is_empty() {
                "No machines yet: “dormerctl create NAME --iso FILE” makes one.".into()
            } else {
                table(&rows)
            }
        },
    )
}

/// `show`.
pub(crate) fn show(entry: &mut Entry, out: Output) -> Result<()> {
    if let State::Live(..) = entry.state() {
        // An engine that does not answer is shown as it is known.
        let _ = engine::note_installer_out(entry);
    }
    let entry = &*entry;
    let machine = &entry.machine;
    let system = match (&machine.system, &machine.os) {
        (Some(words), Some(id)) => Some(format!("{words} ({id})")),
        (words, id) => words.clone().or_else(|| id.clone()),
    };
    out.data(
        || {
            let mut value = brief(entry);
            value["machine"] = serde_json::to_value(machine).unwrap_or_default();
            value
        },
        || {
            let mut rows = vec![
                ("Name", machine.name.clone()),
                ("State", entry.state().word().to_owned()),
                ("System", system.clone().unwrap_or_else(|| "unknown".into())),
                ("Group", machine.group.clone().unwrap_or_else(|| "none".into())),
                ("Firmware", if machine.firmware == Firmware::Uefi { "UEFI" } else { "BIOS" }.to_owned()),
                ("Processors", machine.processors.to_string()),
                ("Memory", mebibytes(machine.memory)),
            ];
            for drive in &machine.drives {
                let kind = if drive.kind == DriveKind::Cd { "CD" } else { "Disk" };
                let image = drive.image.as_ref().map(|path| entry.image(path).display().to_string());
                let empty = if drive.installer { "empty: the installer’s CD was taken out" } else { "empty" };
                rows.push((kind, image.unwrap_or_else(|| empty.into())));
            }
            for (card, network) in machine.networks.iter().enumerate() {
                let forward = |forward: &api::machine::Forward| {
                    let protocol = if forward.protocol == Protocol::Udp { "udp:" } else { "" };
                    format!(", {protocol}{}:{}", forward.host, forward.guest)
                };
                let forwards: String = network.forwards.iter().map(forward).collect();
                let model = machine.get(Key::Card(card, CardKey::Model)).unwrap_or_default();
                rows.push(("Network", format!("{}, {model}, {}{forwards}", network.attachment, network.mac)));
            }
            rows.push(("Boot order", machine.boot_order().join(", ")));
            // Where it is, if it was moved.
            let folder = entry.folder.canonicalize().unwrap_or_else(|_| entry.folder.clone());
            rows.push(("Folder", folder.display().to_string()));
            table(&rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
        },
    )
}

/// A new machine, and what is in its CD drive.
pub(crate) struct Plan {
    pub(crate) new: NewMachine,
    pub(crate) medium: Option<Medium>,
}

/// What was recognised, and why this machine suits it: what the person chose themselves needs no reason.
fn chosen(new: &NewMachine, medium: &Medium) -> Vec<String> {
    let mut lines = vec![format!("{}.", medium.system.description())];
    if new.firmware == medium.firmware() {
        lines.push(medium.why_firmware().to_string());
    }
    if new.profile == medium.system.profile {
        lines.push(medium.why_devices().to_string());
    }
    lines
}

/// Says what may go wrong with a new machine; what refuses it was an error.
fn warn(room: &Room, new: &NewMachine, medium: Option<&Medium>) {
    let concerns = room.concerns(Needs::of(new)).into_iter().filter(|concern| !concern.refuses());
    let concerns = concerns.map(|concern| concern.to_string());
    let obstacle = medium.and_then(Medium::obstacle).map(|obstacle| obstacle.to_string());
    for sentence in concerns.chain(obstacle) {
        eprintln!("dormerctl: {sentence}");
    }
}

/// A new machine from what was asked for and what the medium says. `bare`: without an empty disk nobody asked for.
pub(crate) fn plan(name: &str, choices: &Choices, bare: bool) -> Result<Plan> {
    let host = host::resources();
    let medium = choices.iso.as_deref().map(media::inspect).transpose()?;
    let mut new = match &medium {
        Some(medium) => {
            if let Some(processor) = &medium.system.foreign {
                bail!("{} is for {processor} processors, and this computer runs x86 machines", medium.path.display());
            }
            if medium.kind == MediumKind::Disk {
                bail!("{} is a disk image: use it with --disk", medium.path.display());
            }
            NewMachine::for_medium(name, medium, host)
        }
        None => NewMachine::new(name, Profile::Linux, Firmware::Uefi, Wants::default(), host),
    };
    if let Some(id) = &choices.os {
        let Some(system) = osinfo::Database::load().system(id) else {
            bail!("osinfo-db knows no system “{id}”: ids look like debian12 or win11");
        };
        let profile = choices.profile.map_or(system.profile, Profile::from);
        let fresh = NewMachine::new(name, profile, system.firmware, system.wants, host);
        new = NewMachine { os: system.id, cd: new.cd, installer: new.installer, ..fresh };
    } else if let Some(profile) = choices.profile.map(Profile::from)
        && profile != new.profile
    {
        let wants = medium.as_ref().map_or(Wants::default(), |medium| medium.system.wants);
        let firmware = if profile == Profile::Legacy { Firmware::Bios } else { new.firmware };
        let fresh = NewMachine::new(name, profile, firmware, wants, host);
        let NewMachine { os, system, cd, installer, least_disk, .. } = new;
        new = NewMachine { os, system, cd, installer, least_disk, ..fresh };
    }
    if let Some(firmware) = choices.firmware {
        new.firmware = firmware.into();
    }
    new.processors = choices.cpus.unwrap_or(new.processors);
    new.memory = choices.memory.unwrap_or(new.memory);
    new.network = choices.network.clone();
    new.forwards = choices.forwards.clone();
    if bare || !choices.disks.is_empty() {
        let asked = choices.disks.iter().filter(|disk| *disk != "none");
        new.disks = asked.map(|disk| parse_disk(disk)).collect::<Result<_>>()?;
    }
    Ok(Plan { new, medium })
}

/// A size, or an image that is there.
pub(crate) fn parse_disk(text: &str) -> Result<NewDisk> {
    let path = Path::new(text);
    match NewDisk::parse_size(text) {
        Ok(size) if !path.exists() => Ok(NewDisk::Create { size, format: ImageFormat::Qcow2 }),
        _ => {
            let medium = media::inspect(path)?;
            Ok(NewDisk::Use { path: medium.path, format: medium.format })
        }
    }
}

/// `create`.
pub(crate) fn create(library: &Library, name: &str, choices: &Choices, out: Output) -> Result<()> {
    let Plan { new, medium } = plan(name, choices, false)?;
    let room = library.room();
    let entry = library.create(&new)?;
    warn(&room, &new, medium.as_ref());
    out.data(
        || brief(&entry),
        || {
            let chosen = medium.iter().flat_map(|medium| chosen(&new, medium)).map(|line| format!("{line}\n"));
            format!("{}“{name}” is ready: “dormerctl start” starts it.", chosen.collect::<String>())
        },
    )
}

/// `launcher`.
pub(crate) fn launcher(library: &Library, entry: &Entry, action: LauncherAction, out: Output) -> Result<()> {
    match action {
        LauncherAction::Create => {
            let path = library.create_launcher(entry)?;
            out.data(|| json!({ "launcher": path }), || path.display().to_string())
        }
        LauncherAction::Remove => Ok(library.remove_launcher(entry.machine.uuid)?),
    }
}

/// `report`.
pub(crate) fn report(entry: &Entry, out: Output) -> Result<()> {
    let report = library::report(entry);
    out.data(|| json!({ "report": report }), || report.clone())
}

/// `rename`.
pub(crate) fn rename(library: &Library, name: &str, new: &str) -> Result<()> {
    library.rename(&library.find(name)?, new)?;
    Ok(())
}

/// `delete`: asks at a terminal.
pub(crate) fn delete(library: &Library, entry: &Entry, yes: bool) -> Result<()> {
    if !yes {
        let loss = entry.loss();
        let goes = loss
            .goes
            .iter()
            .map(|(path, bytes)| format!("{} goes ({} on the disk)\n", path.display(), mebibytes(bytes >> 20)));
        let stays = loss.stays.iter().map(|path| format!("{} stays\n", path.display()));
        let facts: String = goes.chain(stays).collect();
        let name = &entry.machine.name;
        output::confirm(&format!("{facts}Delete “{name}” for good?"), &format!("“{name}” stays"))?;
    }
    library.delete(entry)?;
    Ok(())
}
