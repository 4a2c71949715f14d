//! JSON as Ruby objects, and Ruby objects as JSON.

use std::borrow::Cow;

use magnus::r_hash::ForEach;
use magnus::value::{Qfalse, Qtrue, ReprValue};
use magnus::{Error, Float, Integer, IntoValue, RArray, RHash, RString, Ruby, Symbol, Value};
use serde_json::{Map, Number, Value as Json};

/// Deepest nesting of what comes from Ruby. A hash that holds itself ends here, too.
const MAX_DEPTH: usize = 100;

/// Why a Ruby object cannot be stored as JSON.
#[derive(Debug)]
pub(crate) enum NotJson {
    /// For this reason.
    Because(Cow<'static, str>),
    /// Ruby raised, or a thread was ended, while the object was asked for its parts.
    Raised(Error),
}

impl From<Error> for NotJson {
    fn from(error: Error) -> Self {
        Self::Raised(error)
    }
}

fn because<T>(reason: impl Into<Cow<'static, str>>) -> Result<T, NotJson> {
    Err(NotJson::Because(reason.into()))
}

/// The Ruby object for a JSON value: hashes with texts as keys, arrays, texts, numbers.
pub(crate) fn to_ruby(ruby: &Ruby, json: &Json) -> Result<Value, Error> {
    Ok(match json {
        Json::Null => ruby.qnil().as_value(),
        Json::Bool(value) => value.into_value_with(ruby),
        Json::Number(number) => number_to_ruby(ruby, number),
        Json::String(text) => ruby.str_new(text).as_value(),
        Json::Array(items) => {
            let array = ruby.ary_new_capa(items.len());
            for item in items {
                array.push(to_ruby(ruby, item)?)?;
            }
            array.as_value()
        }
        Json::Object(members) => map_to_ruby(ruby, members)?.as_value(),
    })
}

/// The same for an object.
pub(crate) fn map_to_ruby(ruby: &Ruby, members: &Map<String, Json>) -> Result<RHash, Error> {
    let hash = ruby.hash_new();
    for (name, member) in members {
        hash.aset(ruby.str_new(name), to_ruby(ruby, member)?)?;
    }
    Ok(hash)
}

fn number_to_ruby(ruby: &Ruby, number: &Number) -> Value {
    if let Some(number) = number.as_i64() {
        number.into_value_with(ruby)
    } else if let Some(number) = number.as_u64() {
        number.into_value_with(ruby)
    } else {
        number.as_f64().into_value_with(ruby)
    }
}

/// The JSON value that a Ruby object stands for.
///
/// Hashes, arrays, strings, symbols, numbers, true, false and nil stand for themselves; other objects
/// for what their `as_json` returns, where they have one.
pub(crate) fn from_ruby(ruby: &Ruby, value: Value) -> Result<Json, NotJson> {
    at_depth(ruby, value, 0)
}

fn at_depth(ruby: &Ruby, value: Value, depth: usize) -> Result<Json, NotJson> {
    if value.is_nil() {
        return Ok(Json::Null);
    }
    if Qtrue::from_value(value).is_some() {
        return Ok(Json::Bool(true));
    }
    if Qfalse::from_value(value).is_some() {
        return Ok(Json::Bool(false));
    }
    if let Some(text) = RString::from_value(value) {
        return Ok(Json::String(text_of(text)?));
    }
    if let Some(symbol) = Symbol::from_value(value) {
        return Ok(Json::String(symbol_text(symbol)?));
    }
    if let Some(number) = Integer::from_value(value) {
        return whole_number(number);
    }
    if let Some(number) = Float::from_value(value) {
        return match Number::from_f64(number.to_f64()) {
            Some(number) => Ok(Json::Number(number)),
            None => because("it holds NaN or an infinite number"),
        };
    }
    if depth == MAX_DEPTH {
        return because(format!("it is nested deeper than {MAX_DEPTH} levels"));
    }
    if let Some(hash) = RHash::from_value(value) {
        return members(ruby, hash, depth + 1);
    }
    if let Some(array) = RArray::from_value(value) {
        return items(ruby, array, depth + 1);
    }
    if value.respond_to("as_json", false)? {
        let stands_for: Value = value.funcall("as_json", ())?;
        return at_depth(ruby, stands_for, depth + 1);
    }
    because(format!(
        "it holds an object of class {}, which is no JSON",
        class_name(value)
    ))
}

fn members(ruby: &Ruby, hash: RHash, depth: usize) -> Result<Json, NotJson> {
    let mut members = Map::new();
    let mut problem = None;
    hash.foreach(|key: Value, value: Value| {
        let member = key_text(key).and_then(|key| Ok((key, at_depth(ruby, value, depth)?)));
        match member {
            Ok((key, value)) => {
                members.insert(key, value);
                Ok(ForEach::Continue)
            }
            Err(not_json) => {
                problem = Some(not_json);
                Ok(ForEach::Stop)
            }
        }
    })?;
    problem.map_or(Ok(Json::Object(members)), Err)
}

fn items(ruby: &Ruby, array: RArray, depth: usize) -> Result<Json, NotJson> {
    let mut items = Vec::with_capacity(array.len());
    // By position: an `as_json` may change the array meanwhile.
    let mut position = 0;
    while position < array.len() {
        let item: Value = array.entry(isize::try_from(position).unwrap_or(isize::MAX))?;
        items.push(at_depth(ruby, item, depth)?);
        position += 1;
    }
    Ok(Json::Array(items))
}

fn key_text(key: Value) -> Result<String, NotJson> {
    if let Some(text) = RString::from_value(key) {
        text_of(text)
    } else if let Some(symbol) = Symbol::from_value(key) {
        symbol_text(symbol)
    } else if Integer::from_value(key).is_some() {
        Ok(key.to_r_string()?.to_string()?)
    } else {
        because(format!(
            "it has an object of class {} as a key",
            class_name(key)
        ))
    }
}

fn text_of(text: RString) -> Result<String, NotJson> {
    match text.to_string() {
        Ok(text) => Ok(text),
        Err(_) => because("it holds a String that is not UTF-8"),
    }
}

fn symbol_text(symbol: Symbol) -> Result<String, NotJson> {
    match symbol.name() {
        Ok(text) => Ok(text.into_owned()),
        Err(_) => because("it holds a Symbol that is not UTF-8"),
    }
}

fn whole_number(number: Integer) -> Result<Json, NotJson> {
    if let Ok(number) = number.to_i64() {
        return Ok(number.into());
    }
    match number.to_u64() {
        Ok(number) => Ok(number.into()),
        Err(_) => because("it holds an Integer of more than 64 bits; write it as a String"),
    }
}

/// For messages.
fn class_name(value: Value) -> String {
    value.class().to_string()
}
