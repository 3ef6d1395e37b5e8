//! Escapes control characters and invisible characters in log lines: fields hold what clients
//! sent, and none of it may begin a line, move the cursor of a terminal or change the order of the text.
//! Does not know which fields hold it: all are escaped, and the message, too.

use std::error::Error;
use std::fmt::{self, Debug, Display, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// The field with the text of an event, which is written without its name.
const MESSAGE: &str = "message";

/// Whether a character is written as its escape sequence.
fn is_escaped(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            // Soft hyphen, and marks that change the direction of the text or are invisible.
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            // The separators of lines and paragraphs, further marks, the characters of format.
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// Writes `text` with each character that is escaped replaced by `escape`.
fn write_escaped(
    out: &mut dyn Write,
    text: &str,
    escape: fn(&mut dyn Write, char) -> fmt::Result,
) -> fmt::Result {
    let mut rest = text;
    while let Some(at) = rest.find(is_escaped) {
        out.write_str(&rest[..at])?;
        let mut after = rest[at..].chars();
        if let Some(character) = after.next() {
            escape(out, character)?;
        }
        rest = after.as_str();
    }
    out.write_str(rest)
}

/// The fields of an event, or of a span, for people: as `tracing_subscriber` writes them, escaped.
#[derive(Debug)]
pub(super) struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = FieldWriter {
            writer,
            is_first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct FieldWriter<'writer> {
    writer: Writer<'writer>,
    is_first: bool,
    result: fmt::Result,
}

impl FieldWriter<'_> {
    fn write(&mut self, name: &str, suffix: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.writer.write_char(' ')?;
        }
        if name != MESSAGE || !suffix.is_empty() {
            if self.writer.has_ansi_escapes() {
                // Italic, then dimmed.
                write!(self.writer, "\x1b[3m{name}{suffix}\x1b[0m\x1b[2m=\x1b[0m")?;
            } else {
                write!(self.writer, "{name}{suffix}=")?;
            }
        }
        Escaping {
            out: &mut self.writer,
            escape: text_escape,
        }
        .write_fmt(value)
    }

    fn record(&mut self, name: &str, suffix: &str, value: fmt::Arguments<'_>) {
        if self.result.is_ok() {
            self.result = self.write(name, suffix, value);
        }
    }
}

impl Visit for FieldWriter<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == MESSAGE {
            self.record(MESSAGE, "", format_args!("{value}"));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.record(field.name(), "", format_args!("{value}"));
        if let Some(source) = value.source() {
            let sources = Sources(source);
            self.record(field.name(), ".sources", format_args!("{sources}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.record(field.name(), "", format_args!("{value:?}"));
    }
}

/// The causes of an error, from the nearest one on.
struct Sources<'a>(&'a (dyn Error + 'static));

impl Display for Sources<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut next = self.0.source();
        write!(out, "[{}", self.0)?;
        while let Some(error) = next {
            write!(out, ", {error}")?;
            next = error.source();
        }
        out.write_char(']')
    }
}

/// Passes a text on, escaped.
struct Escaping<'a, W: Write> {
    out: &'a mut W,
    escape: fn(&mut dyn Write, char) -> fmt::Result,
}

impl<W: Write> Write for Escaping<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        write_escaped(self.out, text, self.escape)
    }
}

/// As in Rust's source text: `\n`, `\u{1b}`.
fn text_escape(out: &mut dyn Write, character: char) -> fmt::Result {
    match character {
        '\n' | '\r' | '\t' => write!(out, "{}", character.escape_default()),
        _ => write!(out, "{}", character.escape_unicode()),
    }
}

/// As in JSON. The end of the line is the only control character outside of a string.
fn json_escape(out: &mut dyn Write, character: char) -> fmt::Result {
    if character == '\n' {
        return out.write_char(character);
    }
    let mut units = [0; 2];
    for unit in character.encode_utf16(&mut units) {
        write!(out, "\\u{unit:04x}")?;
    }
    Ok(())
}

/// Events as JSON, escaped beyond what JSON requires.
pub(super) struct EscapedJson<E>(pub(super) E);

impl<S, N, E> FormatEvent<S, N> for EscapedJson<E>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'writer> FormatFields<'writer> + 'static,
    E: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut escaping = Escaping {
            out: &mut writer,
            escape: json_escape,
        };
        self.0
            .format_event(context, Writer::new(&mut escaping), event)
    }
}
