import static java.nio.charset.StandardCharsets.UTF_8;

import java.io.IOException;
import java.time.Duration;
import java.util.Optional;
import org.apache.flink.statefun.sdk.java.Address;
import org.apache.flink.statefun.sdk.java.AddressScopedStorage;
import org.apache.flink.statefun.sdk.java.Context;
import org.apache.flink.statefun.sdk.java.StatefulFunctionSpec;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.io.KafkaEgressMessage;
import org.apache.flink.statefun.sdk.java.io.KinesisEgressMessage;
import org.apache.flink.statefun.sdk.java.message.EgressMessageBuilder;
import org.apache.flink.statefun.sdk.java.message.Message;
import org.apache.flink.statefun.sdk.java.message.MessageBuilder;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;

/** The suite's functions (../../README.md) for the Java SDK. */
public final class Suite {
  private static final TypeName OUT = TypeName.typeNameFromString("suite/out");
  private static final TypeName RAW = TypeName.typeNameFromString("suite/raw");
  private static final Duration FOUR_SECONDS = Duration.ofSeconds(4);

  private static final Type<String> THING =
      SimpleType.simpleImmutableTypeFrom(
          TypeName.typeNameFromString("suite/thing"), text -> text.getBytes(UTF_8), data -> new String(data, UTF_8));

  private static final ValueSpec<Integer> SEEN = ValueSpec.named("seen").withIntType();
  private static final ValueSpec<Integer> EXPECTED = ValueSpec.named("expected").withIntType();
  private static final ValueSpec<Integer> ANSWERED = ValueSpec.named("answered").withIntType();
  private static final ValueSpec<Integer> WRITTEN =
      ValueSpec.named("written").thatExpireAfterWrite(FOUR_SECONDS).withIntType();
  private static final ValueSpec<Integer> CALLED =
      ValueSpec.named("called").thatExpiresAfterCall(FOUR_SECONDS).withIntType();

  private static final ValueSpec<Boolean> A_BOOL = ValueSpec.named("a_bool").withBooleanType();
  private static final ValueSpec<Integer> AN_INT = ValueSpec.named("an_int").withIntType();
  private static final ValueSpec<Long> A_LONG = ValueSpec.named("a_long").withLongType();
  private static final ValueSpec<Float> A_FLOAT = ValueSpec.named("a_float").withFloatType();
  private static final ValueSpec<Double> A_DOUBLE = ValueSpec.named("a_double").withDoubleType();
  private static final ValueSpec<String> A_STRING = ValueSpec.named("a_string").withUtf8StringType();
  private static final ValueSpec<String> A_CUSTOM = ValueSpec.named("a_custom").withCustomType(THING);

  private Suite() {}

  /** A function that has done all it does when it returns. */
  private interface Plain {
    void apply(Context context, Message message);
  }

  public static void main(String[] args) throws IOException {
    StatefulFunctions functions = new StatefulFunctions();
    bind(functions, "counter", (c, m) -> count(c, m.asUtf8String()), SEEN);
    bind(functions, "fails", Suite::fails, SEEN);
    bind(functions, "types", Suite::types, A_BOOL, AN_INT, A_LONG, A_FLOAT, A_DOUBLE, A_STRING, A_CUSTOM);
    bind(functions, "expiring", Suite::expiring, WRITTEN, CALLED);
    bind(functions, "delay", Suite::delay);
    bind(functions, "asker", Suite::asker);
    bind(functions, "answerer", Suite::answerer);
    bind(functions, "fan", Suite::fan, EXPECTED, ANSWERED);
    bind(functions, "leaf", (c, m) -> send(c, c.caller().get(), "done"));
    bind(functions, "echo", Suite::echo);
    Server.serve(functions);
  }

  private static void bind(StatefulFunctions functions, String name, Plain function, ValueSpec<?>... states) {
    StatefulFunctionSpec.Builder spec =
        StatefulFunctionSpec.builder(suite(name))
            .withSupplier(
                () ->
                    (context, message) -> {
                      function.apply(context, message);
                      return context.done();
                    });
    for (ValueSpec<?> state : states) {
      spec.withValueSpec(state);
    }
    functions.withStatefulFunction(spec.build());
  }

  private static TypeName suite(String name) {
    return TypeName.typeNameOf("suite", name);
  }

  private static void emit(Context context, String text) {
    context.send(
        KafkaEgressMessage.forEgress(OUT)
            .withTopic("out")
            .withUtf8Key(context.self().id())
            .withUtf8Value(text)
            .build());
  }

  private static void send(Context context, Address target, String text) {
    context.send(MessageBuilder.forAddress(target).withValue(text).build());
  }

  private static int add(Context context, ValueSpec<Integer> state) {
    int sum = context.storage().get(state).orElse(0) + 1;
    context.storage().set(state, sum);
    return sum;
  }

  private static void count(Context context, String text) {
    if (text.equals("reset")) {
      context.storage().remove(SEEN);
      emit(context, "reset");
      return;
    }
    emit(context, add(context, SEEN) + " " + text);
  }

  private static void fails(Context context, Message message) {
    if (message.asUtf8String().equals("bad")) {
      throw new IllegalArgumentException("the function does not like this message");
    }
    count(context, message.asUtf8String());
  }

  private static void types(Context context, Message message) {
    AddressScopedStorage storage = context.storage();
    String text = message.asUtf8String();
    switch (text) {
      case "set":
        set(storage, true, -7, -(1L << 40), 1.5f, -2.25, "grüße", "{\"k\":1}");
        break;
      case "zero":
        set(storage, false, 0, 0, 0, 0, "", "0");
        break;
      case "clear":
        for (ValueSpec<?> state : new ValueSpec<?>[] {A_BOOL, AN_INT, A_LONG, A_FLOAT, A_DOUBLE, A_STRING, A_CUSTOM}) {
          storage.remove(state);
        }
        break;
      default:
        text =
            String.join(
                " ",
                shown(storage.get(A_BOOL)),
                shown(storage.get(AN_INT)),
                shown(storage.get(A_LONG)),
                shown(storage.get(A_FLOAT).map(f -> (int) (f * 4))),
                shown(storage.get(A_DOUBLE).map(d -> (int) (d * 4))),
                shown(storage.get(A_STRING).map(s -> "[" + s + "]")),
                shown(storage.get(A_CUSTOM)));
    }
    emit(context, text);
  }

  private static void set(
      AddressScopedStorage storage, boolean b, int i, long l, float f, double d, String text, String custom) {
    storage.set(A_BOOL, b);
    storage.set(AN_INT, i);
    storage.set(A_LONG, l);
    storage.set(A_FLOAT, f);
    storage.set(A_DOUBLE, d);
    storage.set(A_STRING, text);
    storage.set(A_CUSTOM, custom);
  }

  private static String shown(Optional<?> value) {
    return value.map(Object::toString).orElse("-");
  }

  private static void expiring(Context context, Message message) {
    AddressScopedStorage storage = context.storage();
    switch (message.asUtf8String()) {
      case "add":
        add(context, WRITTEN);
        add(context, CALLED);
        emit(context, "added");
        break;
      case "get":
        emit(context, "written=" + shown(storage.get(WRITTEN)) + " called=" + shown(storage.get(CALLED)));
        break;
      default:
    }
  }

  private static void delay(Context context, Message message) {
    String[] parts = message.asUtf8String().split(" ", 4);
    if (parts[0].equals("cancel")) {
      context.cancelDelayedMessage(parts[1]);
      emit(context, "cancelled");
      return;
    }
    Duration after = Duration.ofMillis(Long.parseLong(parts[1]));
    Message later = MessageBuilder.forAddress(suite("counter"), context.self().id()).withValue(parts[3]).build();
    if (parts[2].equals("-")) {
      context.sendAfter(after, later);
    } else {
      context.sendAfter(after, parts[2], later);
    }
  }

  private static void asker(Context context, Message message) {
    String text = message.asUtf8String();
    if (text.startsWith("ask ")) {
      send(context, new Address(suite("answerer"), text.substring(4)), "question");
    } else {
      emit(context, text);
    }
  }

  private static void answerer(Context context, Message message) {
    String text = message.asUtf8String();
    if (context.caller().isPresent()) {
      send(context, context.caller().get(), "answer to " + text + " by " + context.self().id());
    } else {
      emit(context, "nobody asked " + text);
    }
  }

  private static void fan(Context context, Message message) {
    String text = message.asUtf8String();
    if (text.startsWith("fan ")) {
      int n = Integer.parseInt(text.substring(4));
      context.storage().set(EXPECTED, n);
      for (int i = 0; i < n; i++) {
        send(context, new Address(suite("leaf"), context.self().id() + "-" + i), "leaf");
      }
      return;
    }
    int answered = add(context, ANSWERED);
    if (answered == context.storage().get(EXPECTED).orElse(-1)) {
      emit(context, "all " + answered);
    }
  }

  private static void echo(Context context, Message message) {
    String text = message.as(THING);
    context.send(EgressMessageBuilder.forEgress(RAW).withCustomType(THING, text).build());
    context.send(
        KinesisEgressMessage.forEgress(OUT)
            .withStream("kinesis")
            .withUtf8PartitionKey(context.self().id())
            .withUtf8ExplicitHashKey("7")
            .withUtf8Value(text)
            .build());
  }
}
