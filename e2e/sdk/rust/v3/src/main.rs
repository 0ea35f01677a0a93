//! The suite's functions (../../../README.md) for the Rust SDK of 3.x.
//!
//! A function returns effects and cannot return an error. A panic would poison
//! the registry's lock for the rest of the process's life, so that
//! `suite/fails` is not bound here.

mod types;

use std::time::Duration;

use statefun::io::kafka::KafkaEgress;
use statefun::transport::Transport;
use statefun::{
    specs, Address, Context, Effects, EgressIdentifier, Expiration, ExpirationType, FunctionRegistry,
    FunctionType, HyperHttpTransport, Message, Serializable, TypeName, ValueSpec,
};

/// The type suite/thing: text as it is.
pub struct Thing(pub String);

impl TypeName for Thing {
    fn get_typename() -> &'static str {
        "suite/thing"
    }
}

impl Serializable<Thing> for Thing {
    fn serialize(&self, _typename: String) -> Result<Vec<u8>, String> {
        Ok(self.0.clone().into_bytes())
    }

    fn deserialize(_typename: String, buffer: &[u8]) -> Result<Thing, String> {
        String::from_utf8(buffer.to_vec()).map(Thing).map_err(|e| e.to_string())
    }
}

pub fn int(name: &'static str) -> ValueSpec<i32> {
    ValueSpec::new(name, Expiration::never())
}

fn written() -> ValueSpec<i32> {
    ValueSpec::new("written", Expiration::new(ExpirationType::AfterWrite, Duration::from_secs(4)))
}

fn called() -> ValueSpec<i32> {
    ValueSpec::new("called", Expiration::new(ExpirationType::AfterInvoke, Duration::from_secs(4)))
}

fn suite(name: &str) -> FunctionType {
    FunctionType::new("suite", name)
}

/// The SDK would wrap a String; what readers of the egress get is its bytes.
pub fn emit(effects: &mut Effects, context: &Context, text: &str) {
    let (out, key) = (EgressIdentifier::new("suite", "out"), context.self_address().id);
    effects.kafka_keyed_egress(out, "out", &key, &Thing(text.to_string())).unwrap();
}

fn send(effects: &mut Effects, target: Address, text: &str) {
    effects.send(target, &text.to_string()).unwrap();
}

pub fn text_of(message: &Message) -> String {
    message.get::<String>().unwrap()
}

/// Adds one to an int state.
fn add(effects: &mut Effects, context: &Context, state: fn() -> ValueSpec<i32>) -> i32 {
    let sum = context.get_state(state()).map_or(0, |n| n.unwrap()) + 1;
    effects.update_state(state(), &sum).unwrap();
    sum
}

fn count(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let text = text_of(&message);
    if text == "reset" {
        effects.delete_state(int("seen"));
        emit(&mut effects, &context, "reset");
    } else {
        let seen = add(&mut effects, &context, || int("seen"));
        emit(&mut effects, &context, &format!("{seen} {text}"));
    }
    effects
}

fn expiring(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    match text_of(&message).as_str() {
        "add" => {
            add(&mut effects, &context, written);
            add(&mut effects, &context, called);
            emit(&mut effects, &context, "added");
        }
        "get" => {
            let shown = |spec: ValueSpec<i32>| context.get_state(spec).map_or("-".to_string(), |n| n.unwrap().to_string());
            let text = format!("written={} called={}", shown(written()), shown(called()));
            emit(&mut effects, &context, &text);
        }
        _ => (),
    }
    effects
}

fn delay(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let text = text_of(&message);
    let parts: Vec<&str> = text.splitn(4, ' ').collect();
    if parts[0] == "cancel" {
        effects.cancel_delayed_message(parts[1].to_string());
        emit(&mut effects, &context, "cancelled");
        return effects;
    }
    let target = Address::new(suite("counter"), &context.self_address().id);
    let after = Duration::from_millis(parts[1].parse().unwrap());
    let token = if parts[2] == "-" { "" } else { parts[2] };
    effects.send_after(target, after, token.to_string(), &parts[3].to_string()).unwrap();
    effects
}

fn asker(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let text = text_of(&message);
    match text.strip_prefix("ask ") {
        Some(id) => send(&mut effects, Address::new(suite("answerer"), id), "question"),
        None => emit(&mut effects, &context, &text),
    }
    effects
}

fn answerer(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let (text, caller) = (text_of(&message), context.caller_address());
    if caller.id.is_empty() {
        emit(&mut effects, &context, &format!("nobody asked {text}"));
    } else {
        send(&mut effects, caller, &format!("answer to {text} by {}", context.self_address().id));
    }
    effects
}

fn fan(context: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let text = text_of(&message);
    if let Some(rest) = text.strip_prefix("fan ") {
        let n: i32 = rest.parse().unwrap();
        effects.update_state(int("expected"), &n).unwrap();
        for i in 0..n {
            let id = format!("{}-{i}", context.self_address().id);
            send(&mut effects, Address::new(suite("leaf"), &id), "leaf");
        }
        return effects;
    }
    let answered = add(&mut effects, &context, || int("answered"));
    if Some(Ok(answered)) == context.get_state(int("expected")) {
        emit(&mut effects, &context, &format!("all {answered}"));
    }
    effects
}

fn leaf(context: Context, _: Message) -> Effects {
    let mut effects = Effects::new();
    send(&mut effects, context.caller_address(), "done");
    effects
}

/// There is no Kinesis record in this SDK.
fn echo(_: Context, message: Message) -> Effects {
    let mut effects = Effects::new();
    let thing = message.get::<Thing>().unwrap();
    effects.egress(EgressIdentifier::new("suite", "raw"), &thing).unwrap();
    effects
}

fn main() {
    let mut registry = FunctionRegistry::new();
    registry.register_fn(suite("counter"), specs![int("seen")], count);
    types::register(&mut registry);
    registry.register_fn(suite("expiring"), specs![written(), called()], expiring);
    registry.register_fn(suite("delay"), vec![], delay);
    registry.register_fn(suite("asker"), vec![], asker);
    registry.register_fn(suite("answerer"), vec![], answerer);
    registry.register_fn(suite("fan"), specs![int("expected"), int("answered")], fan);
    registry.register_fn(suite("leaf"), vec![], leaf);
    registry.register_fn(suite("echo"), vec![], echo);
    let port = std::env::var("PORT").expect("PORT");
    let address = format!("127.0.0.1:{port}").parse().expect("PORT is a number");
    HyperHttpTransport::new(address).run(registry).expect("serve");
}
