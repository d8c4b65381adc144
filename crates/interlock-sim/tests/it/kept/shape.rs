//! The form of what is serialized, without its values: names of types, fields and variants in order.

use std::cell::RefCell;
use std::collections::BTreeSet;

use serde::de::value::Error;
use serde::ser::{self, Serialize, Serializer};

/// A line for each type, field and variant that was met: what it is, ` = `, and its form.
#[derive(Default)]
pub struct Shape {
    lines: RefCell<BTreeSet<String>>,
}

impl Shape {
    /// Adds what `value` shows.
    pub fn add(&self, value: &impl Serialize) {
        value.serialize(self).expect("a form has no errors");
    }

    /// The lines.
    pub fn lines(self) -> BTreeSet<String> {
        self.lines.into_inner()
    }

    fn line(&self, what: &str, form: &str) {
        self.lines.borrow_mut().insert(format!("{what} = {form}"));
    }
}

/// What is known of the form of a value: nothing of that of an empty list or an absent option.
type Form = Option<String>;

fn leaf(name: &str) -> Result<Form, Error> {
    Ok(Some(name.into()))
}

/// What has parts.
pub struct Parts<'a> {
    shape: &'a Shape,
    kind: Kind,
    names: Vec<&'static str>,
    forms: Vec<Form>,
}

enum Kind {
    /// All parts have one form.
    List,
    /// Keys and values in turn.
    Map,
    Tuple,
    /// A type or a variant with this name, of a type with that name.
    Named(String, &'static str),
}

impl<'a> Parts<'a> {
    fn new(shape: &'a Shape, kind: Kind) -> Result<Self, Error> {
        let (names, forms) = (Vec::new(), Vec::new());
        Ok(Self {
            shape,
            kind,
            names,
            forms,
        })
    }

    fn variant(
        shape: &'a Shape,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<Self, Error> {
        let line = format!("{name}::{variant} {index}");
        Self::new(shape, Kind::Named(line, name))
    }

    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        let form = value.serialize(self.shape)?;
        self.forms.push(form);
        Ok(())
    }

    fn end(self) -> Result<Form, Error> {
        let every = |nth: usize| self.forms.iter().skip(nth);
        match &self.kind {
            Kind::List => {
                let known = every(0).flatten().next();
                Ok(known.map(|form| format!("[{form}]")))
            }
            Kind::Map => {
                let key = every(0).step_by(2).flatten().next();
                let value = every(1).step_by(2).flatten().next();
                Ok(key
                    .zip(value)
                    .map(|(key, value)| format!("{{{key}: {value}}}")))
            }
            Kind::Tuple => {
                let first = self.forms.first().cloned().flatten();
                let alike = every(0).all(|form| *form == first);
                if let (true, Some(first)) = (alike, first) {
                    return Ok(Some(format!("[{first}; {}]", self.forms.len())));
                }
                let known: Option<Vec<String>> = every(0).cloned().collect();
                Ok(known.map(|known| format!("({})", known.join(", "))))
            }
            Kind::Named(line, name) => {
                let names: Vec<String> = match self.names.is_empty() {
                    true => (0..self.forms.len()).map(|nth| nth.to_string()).collect(),
                    false => self.names.iter().map(|name| (*name).into()).collect(),
                };
                self.shape.line(line, &format!("{{{}}}", names.join(", ")));
                for (name, form) in names.iter().zip(&self.forms) {
                    if let Some(form) = form {
                        self.shape.line(&format!("{line}.{name}"), form);
                    }
                }
                Ok(Some((*name).into()))
            }
        }
    }
}

macro_rules! leaves {
    ($($method:ident: $type:ty),+ $(,)?) => {$(
        fn $method(self, _: $type) -> Result<Form, Error> {
            leaf(stringify!($type))
        }
    )+};
}

impl<'a> Serializer for &'a Shape {
    type Ok = Form;
    type Error = Error;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    leaves!(
        serialize_bool: bool, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8],
        serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_f32: f32, serialize_f64: f64,
    );

    fn is_human_readable(&self) -> bool {
        false
    }

    fn serialize_none(self) -> Result<Form, Error> {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<Form, Error> {
        let form = value.serialize(self)?;
        Ok(form.map(|form| format!("{form}?")))
    }

    fn serialize_unit(self) -> Result<Form, Error> {
        leaf("()")
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<Form, Error> {
        Parts::new(self, Kind::Named(name.into(), name))?.end()
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<Form, Error> {
        Parts::variant(self, name, index, variant)?.end()
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<Form, Error> {
        let mut parts = Parts::new(self, Kind::Named(name.into(), name))?;
        parts.part(value)?;
        parts.end()
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<Form, Error> {
        let mut parts = Parts::variant(self, name, index, variant)?;
        parts.part(value)?;
        parts.end()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Parts::new(self, Kind::List)
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Error> {
        Parts::new(self, Kind::Tuple)
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::new(self, Kind::Named(name.into(), name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        Parts::variant(self, name, index, variant)
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Error> {
        Parts::new(self, Kind::Map)
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Parts<'a>, Error> {
        Parts::new(self, Kind::Named(name.into(), name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Error> {
        Parts::variant(self, name, index, variant)
    }
}

macro_rules! unnamed_parts {
    ($($trait:ident::$method:ident),+) => {$(
        impl ser::$trait for Parts<'_> {
            type Ok = Form;
            type Error = Error;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
                self.part(value)
            }

            fn end(self) -> Result<Form, Error> {
                Parts::end(self)
            }
        }
    )+};
}

unnamed_parts!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! named_parts {
    ($($trait:ident),+) => {$(
        impl ser::$trait for Parts<'_> {
            type Ok = Form;
            type Error = Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), Error> {
                self.names.push(name);
                self.part(value)
            }

            fn end(self) -> Result<Form, Error> {
                Parts::end(self)
            }
        }
    )+};
}

named_parts!(SerializeStruct, SerializeStructVariant);

impl ser::SerializeMap for Parts<'_> {
    type Ok = Form;
    type Error = Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Error> {
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Error> {
        self.part(value)
    }

    fn end(self) -> Result<Form, Error> {
        Parts::end(self)
    }
}
