//! What commands print.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Result, bail};
use serde_json::Value;

/// Text or JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    pub(crate) json: bool,
}

impl Output {
    /// Prints data as one JSON value, or as this text.
    pub(crate) fn data(self, json: impl FnOnce() -> Value, text: impl FnOnce() -> String) -> Result<()> {
        if self.json { line(&format!("{:#}", json())) } else { line(text().trim_end_matches('\n')) }
    }
}

/// Prints a line.
pub(crate) fn line(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}

/// Is somebody at a terminal who can answer?
pub(crate) fn can_ask() -> bool {
    io::stdin().is_terminal()
}

/// Asks at a terminal whether to go on; `otherwise` is the error when the answer is no. A program that calls is not asked.
pub(crate) fn confirm(question: &str, otherwise: &str) -> Result<()> {
    if !can_ask() {
        return Ok(());
    }
    line(&format!("{question} [y/N]"))?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => bail!("{otherwise}"),
    }
}

/// Columns with room between them, the last one free.
pub(crate) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    let widths: Vec<_> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Did the reader of the output go away?
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [vec!["NAME".into(), "STATE".into()], vec!["Größe".into(), "x".into()]];
        assert_eq!(table(&rows), "NAME   STATE\nGröße  x\n");
        assert_eq!(table(&[]), "");
    }
}
