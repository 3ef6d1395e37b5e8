//! A file of lines that are read once in their order and then again in another one.
//! Does not know what is in a line.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The longest line, in bytes.
const LINE: u64 = 64 * 1024 * 1024;

/// A line in the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Where it begins, in bytes.
    offset: u64,
    /// How long it is, in bytes.
    length: u32,
    /// Its number, from 1 on.
    pub(super) number: u32,
}

impl Place {
    /// How long the line is, in bytes.
    pub(super) fn length(self) -> u64 {
        u64::from(self.length)
    }
}

/// A file of lines.
pub(super) struct Lines(File);

impl Lines {
    /// Opens the file. What can be read only once, as standard input, is written into a temporary one.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let mut file = tempfile::tempfile()?;
        if path == Path::new("-") {
            io::copy(&mut io::stdin().lock(), &mut file)?;
        } else {
            let mut named = File::open(path)?;
            if named.metadata()?.is_file() {
                return Ok(Self(named));
            }
            io::copy(&mut named, &mut file)?;
        }
        file.flush()?;
        file.rewind()?;
        Ok(Self(file))
    }

    /// Reads every line that is not blank.
    pub(super) fn each(&mut self, mut read: impl FnMut(Place, &[u8])) -> io::Result<()> {
        self.0.rewind()?;
        let mut reader = BufReader::with_capacity(256 * 1024, &self.0);
        let (mut offset, mut number, mut line) = (0, 0_u32, Vec::new());
        loop {
            line.clear();
            let length = reader
                .by_ref()
                .take(LINE + 1)
                .read_until(b'\n', &mut line)?;
            let length = u64::try_from(length).unwrap_or(u64::MAX);
            if length == 0 {
                return Ok(());
            }
            number = number.checked_add(1).ok_or_else(|| too("many lines"))?;
            if length > LINE {
                return Err(too(&format!("long a line, {number}: at most {LINE} bytes")));
            }
            let place = Place {
                offset,
                length: u32::try_from(length).unwrap_or(u32::MAX),
                number,
            };
            offset += length;
            // As some programs begin a text in UTF-8.
            let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| number == 1);
            let text = text.unwrap_or(&line).trim_ascii();
            if !text.is_empty() {
                read(place, text);
            }
        }
    }

    /// Reads one line again.
    pub(super) fn at(&self, place: Place) -> io::Result<String> {
        let mut line = vec![0; usize::try_from(place.length).unwrap_or(0)];
        self.0.read_exact_at(&mut line, place.offset)?;
        let text = String::from_utf8(line);
        text.map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it was changed meanwhile"))
    }
}

fn too(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("too {what}"))
}
