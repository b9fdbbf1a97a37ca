import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginBundle;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * One Elasticsearch node in this process, of version 8.19 or 9.
 *
 * <p>The jars that Maven Central carries hold the node and its HTTP transport, but no start script; this is what the script would
 * start. Arguments: the home folder (modules/ in it), the configuration folder (elasticsearch.yml and log4j2.properties in it).
 * Ends on SIGTERM after the node closed its indices.
 */
public final class EmbeddedElasticsearch {
  private EmbeddedElasticsearch() {}

  public static void main(String[] args) throws Exception {
    Environment environment = InternalSettingsPreparer.prepareEnvironment(
        Settings.EMPTY, Map.of("path.home", args[0]), Path.of(args[1]), () -> "node");
    LogConfigurator.registerErrorListener();
    LogConfigurator.configure(environment, true);
    Set<PluginBundle> modules = modulesOf(environment);
    // false: the node's own jars are on the class path and not in a named module, so nothing can be exported from one.
    Node node = new Node(environment, PluginsLoader.createPluginsLoader(modules, Set.of(), Map.of(), false));
    Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node)));
    node.start();
    new CountDownLatch(1).await();
  }

  /** Version 9 has a second parameter: whether stateless-only modules are left out. */
  @SuppressWarnings("unchecked")
  private static Set<PluginBundle> modulesOf(Environment environment) throws ReflectiveOperationException {
    for (Method method : PluginsLoader.class.getMethods()) {
      if (!method.getName().equals("loadModulesBundles")) continue;
      Object[] arguments = method.getParameterCount() == 1
          ? new Object[] {environment.modulesDir()}
          : new Object[] {environment.modulesDir(), true};
      return (Set<PluginBundle>) method.invoke(null, arguments);
    }
    throw new NoSuchMethodException("PluginsLoader.loadModulesBundles");
  }

  private static void close(Node node) {
    try {
      node.close();
    } catch (IOException e) {
      throw new java.io.UncheckedIOException(e);
    }
  }
}
