//! Media in drives, ports and cables.

use anyhow::Result;
use api::machine::{DriveBus, DriveKind, Forward, Machine, Problem};
use api::settings::{CardKey, Key};
use library::{Entry, Library, NewDisk, engine, media};

use crate::arguments::{DiskAction, LinkWord, MediumAction, NetAction};
use crate::{machines, output};

/// Ports that lead to the first card.
const FORWARDS: Key = Key::Card(0, CardKey::Forwards);

/// `medium`.
pub(crate) fn medium(entry: &mut Entry, action: MediumAction) -> Result<()> {
    match action {
        MediumAction::Insert { file, drive } => engine::insert(entry, &drive, &media::inspect(&file)?)?,
        MediumAction::Eject { drive } => engine::eject(entry, &drive)?,
    }
    Ok(())
}

/// `disk`: asks at a terminal before something is lost.
pub(crate) fn disk(library: &Library, entry: &Entry, action: &DiskAction) -> Result<()> {
    match action {
        DiskAction::Add { what, .. } if what == "cd" => drop(library.add_cd(entry)?),
        DiskAction::Add { what, bus } => {
            let first = entry.machine.drives.iter().find(|drive| drive.kind == DriveKind::Disk);
            let bus = bus.map(DriveBus::from).or(first.map(|drive| drive.bus)).unwrap_or_default();
            library.add_disk(entry, &machines::parse_disk(what)?, bus)?;
        }
        DiskAction::Remove { drive, yes } => {
            if let (Some(image), false) = (entry.own_image(drive)?, yes) {
                output::confirm(&format!("Delete {}?", image.display()), &format!("“{drive}” stays"))?;
            }
            library.remove_drive(entry, drive)?;
        }
        DiskAction::Grow { drive, size } => {
            let size = NewDisk::parse_size(size)?;
            library.grow_disk(entry, drive, size)?;
            let place = entry.machine.drive_names().iter().position(|name| name == drive);
            let fits = place.and_then(|place| entry.disk_fits(&entry.machine.drives[place]));
            if let Some(fits) = fits.filter(|fits| *fits < size) {
                eprintln!(
                    "dormerctl: there is room for {} GiB of it: a machine that fills it further has to wait for more",
                    fits >> 30
                );
            }
        }
    }
    Ok(())
}

/// `net`.
pub(crate) fn net(library: &Library, entry: &Entry, action: NetAction) -> Result<()> {
    let changed = match action {
        NetAction::Add => library.add_card(entry),
        NetAction::Remove { card } => library.remove_card(entry, &card),
        action => library.change(entry, |machine| cable(machine, action)),
    };
    changed?;
    Ok(())
}

/// Changes what a card is connected to.
fn cable(machine: &mut Machine, action: NetAction) -> Result<(), Problem> {
    match action {
        NetAction::Add | NetAction::Remove { .. } => Ok(()),
        NetAction::Link { state, card } => {
            let key = format!("{card}.link").parse()?;
            machine.set(key, if state == LinkWord::In { "on" } else { "off" })
        }
        NetAction::Forward { forwards } => {
            let Some(first) = machine.networks.first() else { return Err(Problem::NoSetting("net0".into())) };
            let is_new =
                |old: &&Forward| !forwards.iter().any(|new| (new.protocol, new.host) == (old.protocol, old.host));
            let kept = first.forwards.iter().filter(is_new).chain(&forwards).map(ToString::to_string);
            let all = kept.collect::<Vec<_>>().join(" ");
            machine.set(FORWARDS, &all)
        }
        NetAction::Unforward { ports } => {
            let Some(first) = machine.networks.first_mut() else { return Err(Problem::NoSetting("net0".into())) };
            let leads = |port: u16| first.forwards.iter().any(|forward| forward.host == port);
            if let Some(port) = ports.iter().find(|port| !leads(**port)) {
                return Err(Problem::NoForward(*port));
            }
            first.forwards.retain(|forward| !ports.contains(&forward.host));
            Ok(())
        }
    }
}
