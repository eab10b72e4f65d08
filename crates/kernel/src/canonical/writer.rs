//! Writes any value as canonical JSON: in one pass, into one buffer.

use super::name::Name;
use super::object::{Duplicate, Open, Output};
use super::{CanonicalError, text};
use serde::ser::{
    Error as _, Serialize, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};
use std::fmt::Display;

/// Why a value is not written.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unwritable {
    #[error("{0}")]
    NoForm(String),
    #[error("an integer would be rounded")]
    Inexact,
    #[error("it is nested too deeply")]
    TooDeep,
}

impl serde::ser::Error for Unwritable {
    fn custom<T: Display>(message: T) -> Self {
        Self::NoForm(message.to_string())
    }
}

impl From<Duplicate> for Unwritable {
    fn from(_: Duplicate) -> Self {
        Self::custom("an object names a member twice")
    }
}

impl From<Unwritable> for CanonicalError {
    fn from(why: Unwritable) -> Self {
        match why {
            Unwritable::NoForm(why) => Self::Unrepresentable(why),
            Unwritable::Inexact => Self::Inexact,
            Unwritable::TooDeep => Self::TooDeep,
        }
    }
}

/// What is refused besides what has no form.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Whether integers that would be rounded are.
    pub(super) exact: bool,
    /// The deepest level.
    pub(super) depth: usize,
}

impl Bounds {
    pub(super) const NONE: Self = Self { exact: false, depth: usize::MAX };
}

/// The canonical form of a value.
pub(super) fn write<T: Serialize + ?Sized>(value: &T, bounds: Bounds) -> Result<Vec<u8>, Unwritable> {
    let mut output = Output::new(bounds.depth, bounds.exact);
    below(&mut output, value)?;
    Ok(output.bytes)
}

/// Writes a value one level further down.
fn below<T: Serialize + ?Sized>(output: &mut Output, value: &T) -> Result<(), Unwritable> {
    down(output)?;
    value.serialize(Value(output))?;
    output.depth += 1;
    Ok(())
}

fn down(output: &mut Output) -> Result<(), Unwritable> {
    output.depth = output.depth.checked_sub(1).ok_or(Unwritable::TooDeep)?;
    Ok(())
}

/// Writes one value.
struct Value<'a>(&'a mut Output);

/// Writes the items of an array; `wrapped` when it is the only member of an object.
struct Items<'a> {
    output: &'a mut Output,
    first: bool,
    wrapped: bool,
}

/// Writes the members of an object; `wrapped` when it is itself the only member of one.
struct Members<'a> {
    output: &'a mut Output,
    open: Open,
    wrapped: bool,
}

impl<'a> Value<'a> {
    fn raw(self, text: &str) {
        self.0.bytes.extend_from_slice(text.as_bytes());
    }

    fn integer(self, number: i128) -> Result<(), Unwritable> {
        let exact = text::integer(&mut self.0.bytes, number);
        if exact || !self.0.exact { Ok(()) } else { Err(Unwritable::Inexact) }
    }

    fn items(self) -> Items<'a> {
        self.0.bytes.push(b'[');
        Items { output: self.0, first: true, wrapped: false }
    }

    fn members(self) -> Members<'a> {
        let open = self.0.open();
        Members { output: self.0, open, wrapped: false }
    }

    /// The beginning of an object with one member, whose value follows one level further down.
    fn variant(self, name: &str) -> Result<Self, Unwritable> {
        down(self.0)?;
        self.0.bytes.push(b'{');
        text::text(&mut self.0.bytes, name);
        self.0.bytes.push(b':');
        Ok(self)
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, number: $type) -> Result<(), Unwritable> {
            self.integer(i128::from(number))
        })*
    };
}

impl<'a> Serializer for Value<'a> {
    type Ok = ();
    type Error = Unwritable;
    type SerializeSeq = Items<'a>;
    type SerializeTuple = Items<'a>;
    type SerializeTupleStruct = Items<'a>;
    type SerializeTupleVariant = Items<'a>;
    type SerializeMap = Members<'a>;
    type SerializeStruct = Members<'a>;
    type SerializeStructVariant = Members<'a>;

    integers! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }

    fn serialize_u128(self, number: u128) -> Result<(), Unwritable> {
        self.integer(i128::try_from(number).map_err(|_| Unwritable::custom("an integer is beyond 2^127"))?)
    }
    fn serialize_i128(self, number: i128) -> Result<(), Unwritable> {
        self.integer(number)
    }
    fn serialize_bool(self, value: bool) -> Result<(), Unwritable> {
        self.raw(if value { "true" } else { "false" });
        Ok(())
    }
    fn serialize_f32(self, number: f32) -> Result<(), Unwritable> {
        self.serialize_f64(f64::from(number))
    }
    fn serialize_f64(self, number: f64) -> Result<(), Unwritable> {
        let written = text::float(&mut self.0.bytes, number);
        if written { Ok(()) } else { Err(Unwritable::custom("JSON has no NaN and no infinity")) }
    }
    fn serialize_char(self, value: char) -> Result<(), Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<(), Unwritable> {
        text::text(&mut self.0.bytes, value);
        Ok(())
    }
    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unwritable> {
        self.collect_seq(value)
    }
    fn serialize_none(self) -> Result<(), Unwritable> {
        self.serialize_unit()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }
    fn serialize_unit(self) -> Result<(), Unwritable> {
        self.raw("null");
        Ok(())
    }
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unwritable> {
        self.serialize_unit()
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unwritable> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unwritable> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unwritable> {
        let Value(output) = self.variant(variant)?;
        value.serialize(Value(output))?;
        unwrap(output);
        Ok(())
    }
    fn serialize_seq(self, _: Option<usize>) -> Result<Items<'a>, Unwritable> {
        Ok(self.items())
    }
    fn serialize_tuple(self, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.items())
    }
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items<'a>, Unwritable> {
        Ok(self.items())
    }
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items<'a>, Unwritable> {
        Ok(Items { wrapped: true, ..self.variant(variant)?.items() })
    }
    fn serialize_map(self, _: Option<usize>) -> Result<Members<'a>, Unwritable> {
        Ok(self.members())
    }
    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Members<'a>, Unwritable> {
        // serde_json's form of JSON that was written before; whether that is canonical can't be seen.
        if name == "$serde_json::private::RawValue" {
            return Err(Unwritable::custom("raw JSON has no canonical form"));
        }
        Ok(self.members())
    }
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Members<'a>, Unwritable> {
        Ok(Members { wrapped: true, ..self.variant(variant)?.members() })
    }
}

/// The end of an object with one member.
fn unwrap(output: &mut Output) {
    output.bytes.push(b'}');
    output.depth += 1;
}

impl Items<'_> {
    fn item<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        if !std::mem::take(&mut self.first) {
            self.output.bytes.push(b',');
        }
        below(self.output, value)
    }

    fn close(self) -> Result<(), Unwritable> {
        self.output.bytes.push(b']');
        if self.wrapped {
            unwrap(self.output);
        }
        Ok(())
    }
}

impl Members<'_> {
    fn name<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Unwritable> {
        let start = self.output.begin(&self.open);
        let units = name.serialize(Name(&mut self.output.bytes))?;
        Ok(self.output.named(&mut self.open, start, units)?)
    }

    fn value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        below(self.output, value)?;
        self.output.valued();
        Ok(())
    }

    fn close(self) -> Result<(), Unwritable> {
        self.output.close(&self.open)?;
        if self.wrapped {
            unwrap(self.output);
        }
        Ok(())
    }
}

macro_rules! items {
    ($($of:ident: $method:ident),*) => {
        $(impl $of for Items<'_> {
            type Ok = ();
            type Error = Unwritable;
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
                self.item(value)
            }
            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        })*
    };
}
items!(
    SerializeSeq: serialize_element,
    SerializeTuple: serialize_element,
    SerializeTupleStruct: serialize_field,
    SerializeTupleVariant: serialize_field
);

macro_rules! fields {
    ($($of:ident),*) => {
        $(impl $of for Members<'_> {
            type Ok = ();
            type Error = Unwritable;
            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Unwritable> {
                self.name(name)?;
                self.value(value)
            }
            fn end(self) -> Result<(), Unwritable> {
                self.close()
            }
        })*
    };
}
fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Members<'_> {
    type Ok = ();
    type Error = Unwritable;
    fn serialize_key<T: Serialize + ?Sized>(&mut self, name: &T) -> Result<(), Unwritable> {
        self.name(name)
    }
    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unwritable> {
        self.value(value)
    }
    fn end(self) -> Result<(), Unwritable> {
        self.close()
    }
}
