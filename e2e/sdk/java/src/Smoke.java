import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import org.apache.flink.statefun.sdk.java.Context;
import org.apache.flink.statefun.sdk.java.StatefulFunction;
import org.apache.flink.statefun.sdk.java.StatefulFunctionSpec;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.TypeName;
import org.apache.flink.statefun.sdk.java.ValueSpec;
import org.apache.flink.statefun.sdk.java.message.EgressMessageBuilder;
import org.apache.flink.statefun.sdk.java.message.Message;
import org.apache.flink.statefun.sdk.java.message.MessageBuilder;
import org.apache.flink.statefun.sdk.java.types.SimpleType;
import org.apache.flink.statefun.sdk.java.types.Type;

/** The command interpreter (../../README.md) for the Java SDK. */
public final class Smoke implements StatefulFunction {
  private static final Type<byte[]> SOURCE = raw("source-command");
  private static final Type<byte[]> COMMANDS = raw("commands");
  private static final Type<byte[]> RESULT = raw("verification-result");
  private static final TypeName DISCARD = name("discard-sink");
  private static final TypeName VERIFICATION = name("verification-sink");
  private static final ValueSpec<Long> STATE = ValueSpec.named("state").withLongType();

  public static void main(String[] args) throws IOException {
    StatefulFunctions functions = new StatefulFunctions();
    functions.withStatefulFunction(
        StatefulFunctionSpec.builder(name("command-interpreter-fn"))
            .withValueSpec(STATE)
            .withSupplier(Smoke::new)
            .build());
    Server.serve(functions);
  }

  private static TypeName name(String name) {
    return TypeName.typeNameOf("statefun.smoke.e2e", name);
  }

  private static Type<byte[]> raw(String name) {
    return SimpleType.simpleImmutableTypeFrom(name(name), bytes -> bytes, bytes -> bytes);
  }

  @Override
  public CompletableFuture<Void> apply(Context context, Message message) {
    ByteBuffer commands;
    if (message.is(SOURCE)) {
      commands = bytes(last(ByteBuffer.wrap(message.as(SOURCE))).get(2));
    } else {
      commands = ByteBuffer.wrap(message.as(COMMANDS));
    }
    while (commands.hasRemaining()) {
      varint(commands); // each field is a command
      ByteBuffer command = slice(commands);
      int kind = (int) varint(command) >> 3;
      interpret(context, kind, last(slice(command)));
    }
    return context.done();
  }

  private static void interpret(Context context, int kind, Map<Integer, Object> body) {
    long first = (Long) body.getOrDefault(1, 0L);
    switch (kind) {
      case 1:
        context.storage().set(STATE, context.storage().get(STATE).orElse(0L) + 1);
        break;
      case 2:
        context.send(onward(context, first, body));
        break;
      case 3:
        context.sendAfter(Duration.ofMillis(1), onward(context, first, body));
        break;
      case 4:
        context.send(EgressMessageBuilder.forEgress(DISCARD).withValue("discarded-message").build());
        break;
      case 6:
        byte[] result =
            encode(Long.parseLong(context.self().id()), first, context.storage().get(STATE).orElse(0L));
        context.send(EgressMessageBuilder.forEgress(VERIFICATION).withCustomType(RESULT, result).build());
        break;
      default:
        throw new IllegalArgumentException("command " + kind);
    }
  }

  private static Message onward(Context context, long target, Map<Integer, Object> body) {
    ByteBuffer commands = bytes(body.get(2));
    byte[] copy = new byte[commands.remaining()];
    commands.get(copy);
    return MessageBuilder.forAddress(context.self().type(), Long.toString(target))
        .withCustomType(COMMANDS, copy)
        .build();
  }

  private static ByteBuffer bytes(Object field) {
    return field == null ? ByteBuffer.allocate(0) : (ByteBuffer) field;
  }

  /** The last one of each field of a message of varints and length-delimited fields. */
  private static Map<Integer, Object> last(ByteBuffer message) {
    Map<Integer, Object> fields = new LinkedHashMap<>();
    while (message.hasRemaining()) {
      int tag = (int) varint(message);
      fields.put(tag >> 3, (tag & 7) == 2 ? (Object) slice(message) : (Object) varint(message));
    }
    return fields;
  }

  private static long varint(ByteBuffer from) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte b = from.get();
      value |= (long) (b & 127) << shift;
      if (b >= 0) {
        return value;
      }
    }
  }

  private static ByteBuffer slice(ByteBuffer from) {
    int length = (int) varint(from);
    ByteBuffer slice = from.slice().limit(length);
    from.position(from.position() + length);
    return slice;
  }

  private static byte[] encode(long... values) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (int i = 0; i < values.length; i++) {
      out.write((i + 1) << 3);
      long value = values[i];
      for (; value > 127; value >>>= 7) {
        out.write((int) (value & 127 | 128));
      }
      out.write((int) value);
    }
    return out.toByteArray();
  }
}
