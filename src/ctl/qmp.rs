//! QMP from a terminal.

use std::io::BufRead;

use anyhow::{Context, Result};
use api::control::Request;
use library::Entry;
use library::control::{Client, Error};

use crate::output;

/// `qmp`.
pub(crate) fn qmp(entry: &Entry, command: Option<&str>) -> Result<()> {
    let mut control = entry.running()?.control()?;
    if let Some(command) = command {
        return one(&mut control, command);
    }
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        if line.trim().is_empty() {
            continue;
        }
        // One that is refused does not end the conversation.
        if let Err(error) = one(&mut control, &line) {
            if output::is_broken_pipe(&error) || matches!(error.downcast_ref(), Some(Error::Closed)) {
                return Err(error);
            }
            eprintln!("dormerctl: {error:#}");
        }
    }
    Ok(())
}

fn one(control: &mut Client, text: &str) -> Result<()> {
    let request = if text.trim_start().starts_with('{') {
        serde_json::from_str(text).context("this is no QMP command")?
    } else {
        Request { execute: text.trim().to_owned(), arguments: serde_json::Map::new(), id: None }
    };
    let answer = control.request(&request)?;
    output::line(&format!("{answer:#}"))
}
