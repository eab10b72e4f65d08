//! Writes the names of members: text, or an integer between quotes.

use super::text;
use super::writer::Unwritable;
use serde::ser::{Error as _, Impossible, Serialize, Serializer};

/// Writes a member's name. Gives it in UTF-16 where its bytes as written don't sort alike.
pub(super) struct Name<'a>(pub(super) &'a mut Vec<u8>);

pub(super) type Units = Option<Box<[u16]>>;
type No = Impossible<Units, Unwritable>;

fn not_text<T>() -> Result<T, Unwritable> {
    Err(Unwritable::custom("a member's name must be text or an integer"))
}

macro_rules! names {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, number: $type) -> Result<Units, Unwritable> {
            self.0.push(b'"');
            text::integer(self.0, i128::from(number));
            self.0.push(b'"');
            Ok(None)
        })*
    };
}

macro_rules! no_names {
    ($($method:ident($($type:ty),*) -> $to:ty),* $(,)?) => {
        $(fn $method(self, $(_: $type),*) -> Result<$to, Unwritable> {
            not_text()
        })*
    };
}

impl Serializer for Name<'_> {
    type Ok = Units;
    type Error = Unwritable;
    type SerializeSeq = No;
    type SerializeTuple = No;
    type SerializeTupleStruct = No;
    type SerializeTupleVariant = No;
    type SerializeMap = No;
    type SerializeStruct = No;
    type SerializeStructVariant = No;

    names! {
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64
    }
    no_names! {
        serialize_bool(bool) -> Units,
        serialize_f32(f32) -> Units,
        serialize_f64(f64) -> Units,
        serialize_bytes(&[u8]) -> Units,
        serialize_none() -> Units,
        serialize_unit() -> Units,
        serialize_unit_struct(&'static str) -> Units,
        serialize_seq(Option<usize>) -> No,
        serialize_tuple(usize) -> No,
        serialize_tuple_struct(&'static str, usize) -> No,
        serialize_tuple_variant(&'static str, u32, &'static str, usize) -> No,
        serialize_map(Option<usize>) -> No,
        serialize_struct(&'static str, usize) -> No,
        serialize_struct_variant(&'static str, u32, &'static str, usize) -> No,
    }

    fn serialize_char(self, value: char) -> Result<Units, Unwritable> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }
    fn serialize_str(self, value: &str) -> Result<Units, Unwritable> {
        let plain = text::text(self.0, value);
        Ok(if plain { None } else { Some(value.encode_utf16().collect()) })
    }
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<Units, Unwritable> {
        self.serialize_str(variant)
    }
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<Units, Unwritable> {
        value.serialize(self)
    }
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        _: &'static str,
        _: &T,
    ) -> Result<Units, Unwritable> {
        not_text()
    }
    fn serialize_some<T: Serialize + ?Sized>(self, _: &T) -> Result<Units, Unwritable> {
        not_text()
    }
}
