//! Media in drives, ports and cables.

use anyhow::Result;
use api::machine::{Forward, Problem};
use api::settings::{CardKey, Key};
use library::{Entry, Library, engine, media};

use crate::arguments::{LinkWord, MediumAction, NetAction};

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

/// `net`.
pub(crate) fn net(library: &Library, entry: &Entry, action: NetAction) -> Result<()> {
    library.change(entry, |machine| match action {
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
    })?;
    Ok(())
}
