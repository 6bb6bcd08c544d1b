//! Bytes of a file, wherever it is, and reading a header from them in order.

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::{Limits, ModelFileError};

/// A file of which any range can be read.
pub trait ByteSource {
    /// What it is called in messages.
    fn name(&self) -> &str;
    /// Its length in bytes.
    fn size(&self) -> u64;
    /// The bytes from `offset` on, fewer only where the file ends.
    ///
    /// # Errors
    /// When they cannot be had.
    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ModelFileError>;
}

/// A file on disk.
#[derive(Debug)]
pub struct FileSource {
    name: String,
    size: u64,
    file: std::fs::File,
}

impl FileSource {
    /// Opens a file.
    ///
    /// # Errors
    /// When it cannot be opened or is no ordinary file.
    pub fn open(path: &Path) -> Result<Self, ModelFileError> {
        let name = path.display().to_string();
        let error = |source| ModelFileError::Read { place: name.clone(), source };
        // A pipe or device would block or never end.
        let meta = std::fs::metadata(path).map_err(error)?;
        if !meta.is_file() {
            return Err(error(std::io::Error::other("it is not a file")));
        }
        let file = std::fs::File::open(path).map_err(error)?;
        Ok(Self { size: meta.len(), file, name })
    }
}

impl ByteSource for FileSource {
    fn name(&self) -> &str {
        &self.name
    }

    fn size(&self) -> u64 {
        self.size
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ModelFileError> {
        let length = length.min(self.size.saturating_sub(offset));
        let mut bytes = Vec::with_capacity(length as usize);
        self.file
            .seek(SeekFrom::Start(offset))
            .and_then(|_| (&self.file).take(length).read_to_end(&mut bytes))
            .map_err(|source| ModelFileError::Read { place: self.name.clone(), source })?;
        Ok(bytes)
    }
}

/// A file in memory: what the fuzzers and tests read.
#[derive(Clone, Debug)]
pub struct MemorySource<'a> {
    /// The bytes.
    pub bytes: &'a [u8],
}

impl ByteSource for MemorySource<'_> {
    fn name(&self) -> &'static str {
        "(memory)"
    }

    fn size(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read(&mut self, offset: u64, length: u64) -> Result<Vec<u8>, ModelFileError> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(self.bytes.len());
        let end = start.saturating_add(usize::try_from(length).unwrap_or(usize::MAX));
        Ok(self.bytes[start..end.min(self.bytes.len())].to_vec())
    }
}

/// Reads a header from its beginning, a chunk at a time.
pub struct Header<'a> {
    source: &'a mut dyn ByteSource,
    limit: u64,
    chunk: u64,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
    /// Where in the file reading goes on.
    at: u64,
    read: u64,
}

impl<'a> Header<'a> {
    /// From the first byte on.
    pub fn new(source: &'a mut dyn ByteSource, limits: &Limits) -> Self {
        let (limit, chunk) = (limits.header, limits.chunk.max(1));
        Self { source, limit, chunk, buffer: Vec::new(), start: 0, at: 0, read: 0 }
    }

    /// What the file is called.
    pub fn name(&self) -> &str {
        self.source.name()
    }

    /// Length of the file.
    pub fn size(&self) -> u64 {
        self.source.size()
    }

    /// How far reading has come.
    pub const fn position(&self) -> u64 {
        self.at
    }

    /// Bytes that were asked of the source.
    pub const fn bytes_read(&self) -> u64 {
        self.read
    }

    /// The next bytes. `what` names them when the file ends before.
    ///
    /// # Errors
    /// When the file ends or the header's limit is reached before.
    pub fn take(&mut self, length: u64, what: &str) -> Result<&[u8], ModelFileError> {
        let end = self.reach(length, what)?;
        if end > self.start + self.buffer.len() as u64 {
            self.fill(end, what)?;
        }
        let from = (self.at - self.start) as usize;
        self.at = end;
        Ok(&self.buffer[from..from + length as usize])
    }

    /// Passes over bytes without keeping them.
    ///
    /// # Errors
    /// As [`Header::take`].
    pub fn skip(&mut self, length: u64, what: &str) -> Result<(), ModelFileError> {
        self.at = self.reach(length, what)?;
        Ok(())
    }

    /// Where `length` more bytes end, if they are there.
    fn reach(&self, length: u64, what: &str) -> Result<u64, ModelFileError> {
        let (place, size) = (|| self.source.name().to_owned(), self.source.size());
        let end = self.at.saturating_add(length);
        if end > size {
            return Err(ModelFileError::Truncated {
                place: place(),
                what: what.to_owned(),
                needed: end,
                size,
            });
        }
        if end > self.limit {
            return Err(ModelFileError::TooLarge {
                place: place(),
                what: "a header",
                bytes: end,
                limit: self.limit,
            });
        }
        Ok(end)
    }

    /// Reads on so that the buffer reaches from the position to `end` at least.
    fn fill(&mut self, end: u64, what: &str) -> Result<(), ModelFileError> {
        let buffered = self.start + self.buffer.len() as u64;
        if self.at >= buffered {
            // What was skipped beyond the buffer is never fetched.
            self.buffer.clear();
            self.start = self.at;
        } else {
            self.buffer.drain(..(self.at - self.start) as usize);
            self.start = self.at;
        }
        let from = self.start + self.buffer.len() as u64;
        let wanted = (end - from).max(self.chunk);
        let more = self.source.read(from, wanted)?;
        self.read += more.len() as u64;
        self.buffer.extend_from_slice(&more);
        let reached = self.start + self.buffer.len() as u64;
        if reached < end {
            // The file shrank, or the server sent less than it promised.
            return Err(ModelFileError::Truncated {
                place: self.source.name().to_owned(),
                what: what.to_owned(),
                needed: end,
                size: reached,
            });
        }
        Ok(())
    }
}
