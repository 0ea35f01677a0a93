//! suite/types: a state of every type.

use statefun::{specs, Context, Effects, Expiration, FunctionRegistry, FunctionType, Message, ValueSpec};

use crate::{emit, int, text_of, Thing};

fn a_bool() -> ValueSpec<bool> {
    ValueSpec::new("a_bool", Expiration::never())
}

fn a_long() -> ValueSpec<i64> {
    ValueSpec::new("a_long", Expiration::never())
}

fn a_float() -> ValueSpec<f32> {
    ValueSpec::new("a_float", Expiration::never())
}

fn a_double() -> ValueSpec<f64> {
    ValueSpec::new("a_double", Expiration::never())
}

fn a_string() -> ValueSpec<String> {
    ValueSpec::new("a_string", Expiration::never())
}

fn a_custom() -> ValueSpec<Thing> {
    ValueSpec::new("a_custom", Expiration::never())
}

/// Registers it. The type of a list of states is private to the SDK, so that
/// no function can return one.
pub fn register(registry: &mut FunctionRegistry) {
    let states = specs![a_bool(), int("an_int"), a_long(), a_float(), a_double(), a_string(), a_custom()];
    registry.register_fn(FunctionType::new("suite", "types"), states, types);
}

struct Values(bool, i32, i64, f32, f64, &'static str, &'static str);

fn set(effects: &mut Effects, v: Values) -> Result<(), String> {
    effects.update_state(a_bool(), &v.0)?;
    effects.update_state(int("an_int"), &v.1)?;
    effects.update_state(a_long(), &v.2)?;
    effects.update_state(a_float(), &v.3)?;
    effects.update_state(a_double(), &v.4)?;
    effects.update_state(a_string(), &v.5.to_string())?;
    effects.update_state(a_custom(), &Thing(v.6.to_string()))
}

fn clear(effects: &mut Effects) {
    effects.delete_state(a_bool());
    effects.delete_state(int("an_int"));
    effects.delete_state(a_long());
    effects.delete_state(a_float());
    effects.delete_state(a_double());
    effects.delete_state(a_string());
    effects.delete_state(a_custom());
}

fn shown<T>(value: Option<Result<T, String>>, show: impl Fn(T) -> String) -> String {
    value.map_or("-".to_string(), |v| show(v.unwrap()))
}

fn types(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let mut text = text_of(&message);
    match text.as_str() {
        "set" => set(&mut effects, Values(true, -7, -(1 << 40), 1.5, -2.25, "grüße", "{\"k\":1}")).unwrap(),
        "zero" => set(&mut effects, Values(false, 0, 0, 0.0, 0.0, "", "0")).unwrap(),
        "clear" => clear(&mut effects),
        _ => {
            text = [
                shown(context.get_state(a_bool()), |v| v.to_string()),
                shown(context.get_state(int("an_int")), |v| v.to_string()),
                shown(context.get_state(a_long()), |v| v.to_string()),
                shown(context.get_state(a_float()), |v| ((v * 4.0) as i32).to_string()),
                shown(context.get_state(a_double()), |v| ((v * 4.0) as i32).to_string()),
                shown(context.get_state(a_string()), |v| format!("[{v}]")),
                shown(context.get_state(a_custom()), |v| v.0),
            ]
            .join(" ")
        }
    }
    emit(&mut effects, &context, &text);
    effects
}
