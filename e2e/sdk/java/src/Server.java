import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;
import org.apache.flink.statefun.sdk.java.StatefulFunctions;
import org.apache.flink.statefun.sdk.java.handler.RequestReplyHandler;
import org.apache.flink.statefun.sdk.java.slice.Slice;
import org.apache.flink.statefun.sdk.java.slice.Slices;

/** Functions behind the JDK's HTTP server. */
final class Server {
  private Server() {}

  static void serve(StatefulFunctions functions) throws IOException {
    RequestReplyHandler handler = functions.requestReplyHandler();
    int port = Integer.parseInt(System.getenv("PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", port), 1024);
    server.setExecutor(Executors.newFixedThreadPool(16));
    server.createContext("/", exchange -> answer(handler, exchange));
    server.start();
  }

  private static void answer(RequestReplyHandler handler, HttpExchange exchange) throws IOException {
    Slice request = Slices.wrap(exchange.getRequestBody().readAllBytes());
    int status = 200;
    byte[] body;
    try {
      body = handler.handle(request).get().toByteArray();
    } catch (Exception e) {
      status = 500;
      body = String.valueOf(e).getBytes();
    }
    exchange.getResponseHeaders().set("Content-Type", "application/octet-stream");
    // 0 would mean "chunked", -1 is an empty body.
    exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
    exchange.getResponseBody().write(body);
    exchange.close();
  }
}
