//! The suite's functions (../../../README.md) for the Rust SDK of 2.x.
//!
//! Its states come from module.yaml. A function returns effects and cannot
//! return an error, and a panic would poison the registry's lock for the rest
//! of the process's life, so that `suite/fails` is not bound here. There is
//! no cancellation in 2.x, and no Kinesis record in this SDK.

use std::time::Duration;

use protobuf::well_known_types::{
    BoolValue, BytesValue, DoubleValue, FloatValue, Int32Value, Int64Value, StringValue,
};
use statefun::io::kafka::KafkaEgress;
use statefun::transport::hyper::HyperHttpTransport;
use statefun::transport::Transport;
use statefun::{Address, Context, Effects, EgressIdentifier, FunctionRegistry, FunctionType};

fn suite(name: &str) -> FunctionType {
    FunctionType::new("suite", name)
}

/// A wrapper message with this value.
macro_rules! wrap {
    ($message:ident, $value:expr) => {{
        let mut message = $message::new();
        message.set_value($value);
        message
    }};
}

fn emit(effects: &mut Effects, context: &Context, text: &str) {
    let (out, key) = (EgressIdentifier::new("suite", "out"), context.self_address().id);
    effects.kafka_keyed_egress(out, "out", &key, wrap!(StringValue, text.to_string()));
}

fn send(effects: &mut Effects, target: Address, text: &str) {
    effects.send(target, wrap!(StringValue, text.to_string()));
}

fn int(context: &Context, state: &str) -> Option<i32> {
    context.get_state::<Int32Value>(state).map(|n| n.get_value())
}

/// Adds one to an int state.
fn add(effects: &mut Effects, context: &Context, state: &str) -> i32 {
    let sum = int(context, state).unwrap_or(0) + 1;
    effects.update_state(state, &wrap!(Int32Value, sum));
    sum
}

fn count(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    if message.get_value() == "reset" {
        effects.delete_state("seen");
        emit(&mut effects, &context, "reset");
    } else {
        let seen = add(&mut effects, &context, "seen");
        emit(&mut effects, &context, &format!("{seen} {}", message.get_value()));
    }
    effects
}

struct Values(bool, i32, i64, f32, f64, &'static str, &'static str);

fn set(effects: &mut Effects, v: Values) {
    effects.update_state("a_bool", &wrap!(BoolValue, v.0));
    effects.update_state("an_int", &wrap!(Int32Value, v.1));
    effects.update_state("a_long", &wrap!(Int64Value, v.2));
    effects.update_state("a_float", &wrap!(FloatValue, v.3));
    effects.update_state("a_double", &wrap!(DoubleValue, v.4));
    effects.update_state("a_string", &wrap!(StringValue, v.5.to_string()));
    effects.update_state("a_custom", &wrap!(BytesValue, v.6.as_bytes().to_vec()));
}

fn shown(value: Option<String>) -> String {
    value.unwrap_or("-".to_string())
}

fn types(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    let mut text = message.get_value().to_string();
    match message.get_value() {
        "set" => set(&mut effects, Values(true, -7, -(1 << 40), 1.5, -2.25, "grüße", "{\"k\":1}")),
        "zero" => set(&mut effects, Values(false, 0, 0, 0.0, 0.0, "", "0")),
        "clear" => {
            for state in ["a_bool", "an_int", "a_long", "a_float", "a_double", "a_string", "a_custom"] {
                effects.delete_state(state);
            }
        }
        _ => {
            text = [
                shown(context.get_state::<BoolValue>("a_bool").map(|v| v.get_value().to_string())),
                shown(int(&context, "an_int").map(|n| n.to_string())),
                shown(context.get_state::<Int64Value>("a_long").map(|v| v.get_value().to_string())),
                shown(context.get_state::<FloatValue>("a_float").map(|v| ((v.get_value() * 4.0) as i32).to_string())),
                shown(context.get_state::<DoubleValue>("a_double").map(|v| ((v.get_value() * 4.0) as i32).to_string())),
                shown(context.get_state::<StringValue>("a_string").map(|v| format!("[{}]", v.get_value()))),
                shown(context.get_state::<BytesValue>("a_custom").map(|v| String::from_utf8_lossy(v.get_value()).to_string())),
            ]
            .join(" ")
        }
    }
    emit(&mut effects, &context, &text);
    effects
}

fn expiring(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    match message.get_value() {
        "add" => {
            add(&mut effects, &context, "written");
            add(&mut effects, &context, "called");
            emit(&mut effects, &context, "added");
        }
        "get" => {
            let shown = |state| shown(int(&context, state).map(|n| n.to_string()));
            let text = format!("written={} called={}", shown("written"), shown("called"));
            emit(&mut effects, &context, &text);
        }
        _ => (),
    }
    effects
}

fn delay(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    let parts: Vec<&str> = message.get_value().splitn(4, ' ').collect();
    if parts[0] == "after" {
        let target = Address::new(suite("counter"), &context.self_address().id);
        let after = Duration::from_millis(parts[1].parse().unwrap());
        effects.send_after(target, after, wrap!(StringValue, parts[3].to_string()));
    }
    effects
}

fn asker(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    match message.get_value().strip_prefix("ask ") {
        Some(id) => send(&mut effects, Address::new(suite("answerer"), id), "question"),
        None => emit(&mut effects, &context, message.get_value()),
    }
    effects
}

fn answerer(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    let (text, caller) = (message.get_value(), context.caller_address());
    if caller.id.is_empty() {
        emit(&mut effects, &context, &format!("nobody asked {text}"));
    } else {
        send(&mut effects, caller, &format!("answer to {text} by {}", context.self_address().id));
    }
    effects
}

fn fan(context: Context, message: StringValue) -> Effects {
    let mut effects = Effects::new();
    if let Some(rest) = message.get_value().strip_prefix("fan ") {
        let n: i32 = rest.parse().unwrap();
        effects.update_state("expected", &wrap!(Int32Value, n));
        for i in 0..n {
            let id = format!("{}-{i}", context.self_address().id);
            send(&mut effects, Address::new(suite("leaf"), &id), "leaf");
        }
        return effects;
    }
    let answered = add(&mut effects, &context, "answered");
    if Some(answered) == int(&context, "expected") {
        emit(&mut effects, &context, &format!("all {answered}"));
    }
    effects
}

fn leaf(context: Context, _: StringValue) -> Effects {
    let mut effects = Effects::new();
    send(&mut effects, context.caller_address(), "done");
    effects
}

fn echo(_: Context, message: BytesValue) -> Effects {
    let mut effects = Effects::new();
    effects.egress(EgressIdentifier::new("suite", "raw"), message);
    effects
}

fn main() -> Result<(), failure::Error> {
    let mut registry = FunctionRegistry::new();
    registry.register_fn(suite("counter"), count);
    registry.register_fn(suite("types"), types);
    registry.register_fn(suite("expiring"), expiring);
    registry.register_fn(suite("delay"), delay);
    registry.register_fn(suite("asker"), asker);
    registry.register_fn(suite("answerer"), answerer);
    registry.register_fn(suite("fan"), fan);
    registry.register_fn(suite("leaf"), leaf);
    registry.register_fn(suite("echo"), echo);
    HyperHttpTransport::new(format!("127.0.0.1:{}", std::env::var("PORT")?).parse()?).run(registry)
}
