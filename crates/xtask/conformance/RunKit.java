import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.stream.Collectors;

import org.eclipse.dataspacetck.core.system.ConsoleMonitor;
import org.eclipse.dataspacetck.runtime.TckRuntime;

/**
 * Runs the whole conformance kit once: RunKit PROPERTIES RESULT. The result is lines of `name=number`,
 * then one line `failure=TEST: REASON` for each test that failed. It judges nothing.
 */
public class RunKit {
    private static final String TESTS = "org.eclipse.dataspacetck.dsp.verification";
    private static final String LAUNCHER = "org.eclipse.dataspacetck.dsp.system.DspSystemLauncher";

    public static void main(String[] arguments) throws Exception {
        var read = new Properties();
        try (Reader reader = Files.newBufferedReader(Path.of(arguments[0]))) {
            read.load(reader);
        }
        Map<String, String> properties = read.stringPropertyNames().stream()
                .collect(Collectors.toMap(name -> name, read::getProperty));
        properties.put("dataspacetck.launcher", LAUNCHER);

        var summary = TckRuntime.Builder.newInstance()
                .addPackage(TESTS)
                .properties(properties)
                .monitor(new ConsoleMonitor(false, false))
                .build()
                .execute();

        List<String> lines = new ArrayList<>();
        lines.add("found=" + summary.getTestsFoundCount());
        lines.add("started=" + summary.getTestsStartedCount());
        lines.add("succeeded=" + summary.getTestsSucceededCount());
        lines.add("failed=" + summary.getTestsFailedCount());
        lines.add("skipped=" + summary.getTestsSkippedCount());
        for (var failure : summary.getFailures()) {
            var reason = String.valueOf(failure.getException()).replaceAll("\\s+", " ");
            lines.add("failure=" + failure.getTestIdentifier().getDisplayName() + ": " + reason);
        }
        Files.write(Path.of(arguments[1]), lines, StandardCharsets.UTF_8);
        // The kit leaves threads behind that would keep the process alive.
        System.exit(0);
    }
}
