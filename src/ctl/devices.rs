//! Media in drives, ports and cables.

use anyhow::Result;
use api::control::NetworkStatus;
use api::machine::{DriveBus, DriveKind, Forward, Machine, Network, Problem};
use api::settings::{CardKey, Key};
use library::{Entry, Library, NewDisk, State, engine, media};
use serde_json::json;

use crate::arguments::{DiskAction, LinkWord, MediumAction, NetAction};
use crate::output::Output;
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
pub(crate) fn net(library: &Library, entry: &Entry, action: NetAction, out: Output) -> Result<()> {
    let changed = match action {
        NetAction::List => return list(entry, out),
        NetAction::Capture { file, card } if file.as_os_str() == "off" => {
            return Ok(engine::end_capture(entry, &card)?);
        }
        NetAction::Capture { file, card } => return Ok(engine::begin_capture(entry, &card, &file)?),
        NetAction::Add { network } => library.add_card(entry, network),
        NetAction::Remove { card } => library.remove_card(entry, &card),
        action => library.change(entry, |machine| cable(machine, action)),
    };
    changed?;
    Ok(())
}

/// `net list`: as the engine has it, or as it will be when the machine starts.
fn list(entry: &Entry, out: Output) -> Result<()> {
    let running = entry.state() != State::Stopped;
    let cards = if running { entry.running()?.control()?.networks()? } else { Vec::new() };
    out.data(
        || match running {
            true => json!(cards),
            false => {
                let card = |(number, network): (usize, &Network)| {
                    json!({
                        "device": format!("net{number}"),
                        "mac": network.mac,
                        "network": network.attachment,
                        "plugged": network.link,
                    })
                };
                entry.machine.networks.iter().enumerate().map(card).collect()
            }
        },
        || {
            let live = |card: &NetworkStatus| {
                let state = match (card.plugged, card.link) {
                    (false, _) => "cable out",
                    (true, false) => "no link",
                    (true, true) => "link",
                };
                let traffic = format!(
                    "sent {} ({} bytes), received {} ({} bytes), lost {}",
                    card.sent, card.sent_bytes, card.received, card.received_bytes, card.dropped
                );
                let capture = if card.captured { ", captured" } else { "" };
                let words = [&card.device, &card.network, &card.mac.to_string(), state, &format!("{traffic}{capture}")];
                words.map(ToString::to_string).to_vec()
            };
            let still = |(number, network): (usize, &Network)| {
                let state = if network.link { "" } else { "cable out" };
                let (mac, network) = (network.mac.to_string(), network.attachment.to_string());
                vec![format!("net{number}"), network, mac, state.to_owned()]
            };
            match running {
                true => output::table(&cards.iter().map(live).collect::<Vec<_>>()),
                false => output::table(&entry.machine.networks.iter().enumerate().map(still).collect::<Vec<_>>()),
            }
        },
    )
}

/// Changes what a card is connected to.
fn cable(machine: &mut Machine, action: NetAction) -> Result<(), Problem> {
    match action {
        NetAction::Add { .. } | NetAction::Remove { .. } | NetAction::List | NetAction::Capture { .. } => Ok(()),
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
