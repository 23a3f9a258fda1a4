//! Just enough of Thrift's compact protocol to look into a Parquet file before the library that
//! decodes it does: it makes room for what headers announce, and headers can lie.

/// Deepest nesting.
const MAX_DEPTH: usize = 24;

/// What stands in a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wire {
    Bool,
    Byte,
    Integer,
    Double,
    Binary,
    List,
    Map,
    Struct,
}

/// A list's beginning.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) element: Wire,
    pub(super) len: usize,
}

/// Reads a struct and what it holds.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Elements that lists may still have.
    elements_left: usize,
}

/// The bytes are no such struct, or one that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Malformed;

type Read<T> = Result<T, Malformed>;

impl<'a> Reader<'a> {
    /// Reads `bytes`, of which all lists together have at most `elements`.
    pub(super) fn new(bytes: &'a [u8], elements: usize) -> Self {
        Self {
            bytes,
            at: 0,
            elements_left: elements,
        }
    }

    /// Returns how many bytes are read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Reads a struct; `field` is asked for each field and reads it, or returns `false` to have
    /// it passed over.
    pub(super) fn read_struct(
        &mut self,
        mut field: impl FnMut(&mut Self, i16, Wire) -> Read<bool>,
    ) -> Read<()> {
        let mut id = 0_i16;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            let wire = wire(head & 0x0f)?;
            id = match head >> 4 {
                0 => i16::try_from(self.integer()?).map_err(|_| Malformed)?,
                delta => id.checked_add(i16::from(delta)).ok_or(Malformed)?,
            };
            if !field(self, id, wire)? {
                // A boolean field has its value in its head.
                if wire != Wire::Bool {
                    self.pass_over(wire, MAX_DEPTH)?;
                }
            }
        }
    }

    /// Reads an integer of any width.
    pub(super) fn integer(&mut self) -> Read<i64> {
        let raw = self.unsigned()?;
        Ok((raw >> 1).cast_signed() ^ -((raw & 1).cast_signed()))
    }

    /// Reads a list's beginning.
    pub(super) fn list(&mut self) -> Read<List> {
        let head = self.byte()?;
        let len = match head >> 4 {
            15 => usize::try_from(self.unsigned()?).map_err(|_| Malformed)?,
            len => usize::from(len),
        };
        self.elements_left = self.elements_left.checked_sub(len).ok_or(Malformed)?;
        Ok(List {
            element: wire(head & 0x0f)?,
            len,
        })
    }

    /// Passes over a value that is no field's boolean.
    pub(super) fn pass_over(&mut self, wire: Wire, depth: usize) -> Read<()> {
        let below = depth.checked_sub(1).ok_or(Malformed)?;
        match wire {
            Wire::Bool | Wire::Byte => self.skip(1),
            Wire::Integer => self.unsigned().map(drop),
            Wire::Double => self.skip(8),
            Wire::Binary => {
                let len = self.unsigned()?;
                self.skip(usize::try_from(len).map_err(|_| Malformed)?)
            }
            Wire::List => {
                let list = self.list()?;
                (0..list.len).try_for_each(|_| self.pass_over(list.element, below))
            }
            // No map is part of the format.
            Wire::Map => Err(Malformed),
            Wire::Struct => self.read_struct_below(below),
        }
    }

    fn read_struct_below(&mut self, depth: usize) -> Read<()> {
        self.read_struct(|reader, _, wire| {
            if wire != Wire::Bool {
                reader.pass_over(wire, depth)?;
            }
            Ok(true)
        })
    }

    fn skip(&mut self, count: usize) -> Read<()> {
        let end = self.at.checked_add(count).ok_or(Malformed)?;
        if end > self.bytes.len() {
            return Err(Malformed);
        }
        self.at = end;
        Ok(())
    }

    fn byte(&mut self) -> Read<u8> {
        let byte = *self.bytes.get(self.at).ok_or(Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn unsigned(&mut self) -> Read<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed)
    }
}

fn wire(code: u8) -> Read<Wire> {
    Ok(match code {
        1 | 2 => Wire::Bool,
        3 => Wire::Byte,
        4..=6 => Wire::Integer,
        7 => Wire::Double,
        8 => Wire::Binary,
        9 | 10 => Wire::List,
        11 => Wire::Map,
        12 => Wire::Struct,
        _ => return Err(Malformed),
    })
}
