//! The process's streams, and the forms of results: data on stdout, everything else on stderr.

use super::CliError;
use super::args::Format;
use comfy_table::{Table, presets};
use mandate_flow::yaml;
use miette::{GraphicalReportHandler, GraphicalTheme};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal as _, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

/// Columns of reports on a terminal.
const WIDTH: usize = 110;

/// Standard input, output and error.
pub(crate) struct Io {
    input: Mutex<Box<dyn Read + Send>>,
    out: Mutex<Box<dyn Write + Send>>,
    err: Mutex<Box<dyn Write + Send>>,
    input_is_terminal: bool,
    err_is_terminal: bool,
    closed: AtomicBool,
}

impl Io {
    /// Those of this process.
    pub(crate) fn of_process() -> Self {
        Self {
            input_is_terminal: io::stdin().is_terminal(),
            err_is_terminal: io::stderr().is_terminal(),
            ..Self::of(io::stdin(), io::stdout(), io::stderr())
        }
    }

    /// Streams that are no terminals.
    pub(crate) fn of(
        input: impl Read + Send + 'static,
        out: impl Write + Send + 'static,
        err: impl Write + Send + 'static,
    ) -> Self {
        Self {
            input: Mutex::new(Box::new(input)),
            out: Mutex::new(Box::new(out)),
            err: Mutex::new(Box::new(err)),
            input_is_terminal: false,
            err_is_terminal: false,
            closed: AtomicBool::new(false),
        }
    }

    /// Whether a person would have to type the input.
    pub(crate) const fn input_is_terminal(&self) -> bool {
        self.input_is_terminal
    }

    /// Whether a person looks at stderr.
    pub(crate) const fn err_is_terminal(&self) -> bool {
        self.err_is_terminal
    }

    /// One line of the input, as a person typed it.
    pub(crate) fn read_line(&self) -> Result<String, CliError> {
        let mut line = Vec::new();
        let mut byte = [0u8];
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        while line.len() < 1024
            && input.read(&mut byte).map_err(|e| CliError::usage(format!("stdin can't be read: {e}")))? == 1
        {
            if byte == *b"\n" {
                break;
            }
            line.extend_from_slice(&byte);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// All of the input, at most `limit` bytes.
    pub(crate) fn read_input(&self, limit: u64) -> Result<Vec<u8>, CliError> {
        let mut bytes = Vec::new();
        let mut input = self.input.lock().unwrap_or_else(PoisonError::into_inner);
        let read = input.by_ref().take(limit.saturating_add(1)).read_to_end(&mut bytes);
        read.map_err(|e| CliError::usage(format!("stdin can't be read: {e}")))?;
        if bytes.len() as u64 > limit {
            return Err(CliError::usage(format!("stdin holds more than {limit} bytes")));
        }
        Ok(bytes)
    }

    /// Whether nobody reads stdout any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn write_out(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => Ok(()),
            // Whoever read has seen enough: that is no error.
            Err(e) if e.kind() == ErrorKind::BrokenPipe => {
                self.closed.store(true, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => Err(CliError::failed(format!("stdout can't be written: {e}"))),
        }
    }

    fn write_err(&self, text: &str) {
        let mut err = self.err.lock().unwrap_or_else(PoisonError::into_inner);
        // Nobody could be told that nobody can be told.
        let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
    }

    /// Tells an error on stderr.
    pub(crate) fn report(&self, error: &dyn miette::Diagnostic) {
        let colours = self.err_is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let theme = if colours { GraphicalTheme::unicode() } else { GraphicalTheme::unicode_nocolor() };
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_links(false)
            .with_width(WIDTH)
            .with_break_words(false)
            .with_wrap_lines(self.err_is_terminal);
        let mut text = String::new();
        match handler.render_report(&mut text, error) {
            Ok(()) => self.write_err(&text),
            Err(_) => self.write_err(&format!("{error}\n")),
        }
    }
}

/// Writes results in the form asked for.
pub(crate) struct Output<'a> {
    io: &'a Io,
    format: Format,
}

impl<'a> Output<'a> {
    pub(crate) const fn new(io: &'a Io, format: Format) -> Self {
        Self { io, format }
    }

    /// Whether people read it.
    pub(crate) fn is_table(&self) -> bool {
        self.format == Format::Table
    }

    /// Whether nobody reads stdout any more.
    pub(crate) fn is_closed(&self) -> bool {
        self.io.is_closed()
    }

    /// Writes one value; for people as `table` puts it.
    pub(crate) fn value(&self, value: &Value, table: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
        let text = match self.format {
            Format::Table => table(value),
            Format::Json => {
                serde_json::to_string_pretty(value).map_err(|e| CliError::failed(format!("no JSON: {e}")))?
            }
            Format::Yaml => yaml::emit(value),
        };
        self.line(&text)
    }

    /// Writes a text and ends its last line.
    pub(crate) fn line(&self, text: &str) -> Result<(), CliError> {
        self.io.write_out(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
    }

    /// Writes bytes as they are.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        self.io.write_out(bytes)
    }

    /// Says what is going on, if somebody watches.
    pub(crate) fn progress(&self, text: &str) {
        if self.io.err_is_terminal {
            self.io.write_err(&format!("{}\n", shown(text)));
        }
    }

    /// Puts a question to whoever sits there.
    pub(crate) fn ask(&self, text: &str) {
        self.io.write_err(text);
    }

    /// Tells something that is not an error of the command, such as why a run ended as it did.
    pub(crate) fn report(&self, error: &dyn miette::Diagnostic) {
        self.io.report(error);
    }
}

/// A table with a header, or `empty` when there are no rows.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>, empty: &str) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(|name| name.to_uppercase()).collect::<Vec<_>>());
    let mut any = false;
    for row in rows {
        any = true;
        table.add_row(row.iter().map(|cell| shown(cell)).collect::<Vec<_>>());
    }
    if any { lines(&table) } else { empty.to_owned() }
}

/// Names and values, one to a line; absent values are left out.
pub(crate) fn fields(fields: &[(&str, Option<String>)]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for (name, value) in fields {
        if let Some(value) = value {
            table.add_row(vec![(*name).to_owned(), shown(value)]);
        }
    }
    lines(&table)
}

fn lines(table: &Table) -> String {
    // Cells begin with a blank and end with padding, which only makes copying harder.
    table
        .lines()
        .map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

/// The text at a key, or of a number or boolean there; `None` for null and absent.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    plain(value.get(key)?)
}

/// A cell: the text at a key, or nothing.
pub(crate) fn cell(value: &Value, key: &str) -> String {
    text(value, key).unwrap_or_default()
}

/// A value as people read it: text as it is, lists joined, the rest as JSON.
pub(crate) fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Array(items) => Some(items.iter().filter_map(plain).collect::<Vec<_>>().join(", ")),
        other => Some(other.to_string()),
    }
}

/// The items of a list.
pub(crate) fn items(value: &Value) -> &[Value] {
    value.get("items").and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// At most `limit` characters, and a sign that there were more.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    text.chars().take(limit.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

/// A text that shows what it holds: control characters, and those that turn or hide other characters,
/// are written out, so that nothing from elsewhere can act on the terminal or mislead its reader.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let misleading = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{061c}' | '\u{e0000}'..='\u{e007f}');
        if misleading || (c.is_control() && c != '\n') {
            // Writing into a String can't fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_acts_on_the_terminal() {
        for (given, expected) in [
            ("plain", "plain"),
            ("two\nlines", "two\nlines"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("pay \u{202e}evil", "pay \\u{202e}evil"),
            ("zero\u{200b}width", "zero\\u{200b}width"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(shown(given), expected);
        }
        let one = table(&["a"], [vec!["\u{1b}]0;title\u{7}".to_owned()]], "");
        assert!(!one.contains('\u{1b}'), "{one:?}");
    }

    #[test]
    fn a_closed_pipe_ends_quietly() {
        struct Closed;
        impl Write for Closed {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::BrokenPipe.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let io = Io::of(io::empty(), Closed, io::sink());
        assert!(Output::new(&io, Format::Json).value(&Value::Null, |_| String::new()).is_ok());
        assert!(io.is_closed());
    }

    #[test]
    fn input_has_a_bound() {
        let io = Io::of(io::repeat(b'x'), io::sink(), io::sink());
        assert_eq!(io.read_input(10).unwrap_err().exit(), super::super::Exit::Usage);
        let io = Io::of(&b"0123456789"[..], io::sink(), io::sink());
        assert_eq!(io.read_input(10).unwrap().len(), 10);
    }

    #[test]
    fn shortening_says_so() {
        assert_eq!(shortened("abcdef", 6), "abcdef");
        assert_eq!(shortened("abcdefg", 6), "abcde…");
        assert_eq!(shortened("ééééééé", 6), "ééééé…");
    }
}
