//! Media in drives, ports and cables.

use anyhow::{Result, bail};
use api::control::Command;
use library::{Entry, engine, media};

use crate::arguments::{LinkWord, MediumAction, NetAction};

/// `medium`.
pub(crate) fn medium(entry: &mut Entry, action: MediumAction) -> Result<()> {
    match action {
        MediumAction::Insert { file, drive } => engine::insert(entry, &drive, &media::inspect(&file)?)?,
        MediumAction::Eject { drive } => engine::eject(entry, &drive)?,
    }
    Ok(())
}

/// `net`.
pub(crate) fn net(entry: &mut Entry, action: NetAction) -> Result<()> {
    let name = entry.machine.name.clone();
    if let NetAction::Link { state, card } = action {
        let up = state == LinkWord::In;
        entry.running()?.control()?.execute(&Command::SetLink { name: card, up })?;
        return Ok(());
    }
    let Some(network) = entry.machine.networks.first_mut() else { bail!("“{name}” has no network card") };
    match action {
        NetAction::Forward { forwards } => {
            for forward in forwards {
                let same =
                    |other: &api::machine::Forward| (other.protocol, other.host) == (forward.protocol, forward.host);
                network.forwards.retain(|other| !same(other));
                network.forwards.push(forward);
            }
        }
        NetAction::Unforward { ports } => {
            if let Some(port) = ports.iter().find(|port| !network.forwards.iter().any(|forward| forward.host == **port))
            {
                bail!("port {port} does not lead into “{name}”");
            }
            network.forwards.retain(|forward| !ports.contains(&forward.host));
        }
        NetAction::Link { .. } => {}
    }
    entry.save()?;
    if !entry.is_stopped() {
        eprintln!("dormerctl: this counts from the next start of “{name}” on");
    }
    Ok(())
}
