import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.networknt.schema.InputFormat;
import com.networknt.schema.Schema;
import com.networknt.schema.SchemaLocation;
import com.networknt.schema.SchemaRegistry;
import com.networknt.schema.dialect.Dialects;

/**
 * Holds messages against the JSON schemas of DSP 2025-1 that lie in the kit's jars, by the kit's own
 * validator: CheckMessages MESSAGES RESULT. A line of MESSAGES is a label, a tab and the message. The
 * result is a line `checked=TYPE NUMBER` for each type, `unknown=TYPE NUMBER` for each type that the kit
 * has no schema of, and `failure=LABEL: POINTER: REASON` for everything that does not fit.
 */
public class CheckMessages {
    private static final String NAMESPACE = "https://w3id.org/dspace/2025/1";
    private static final Map<String, String> SCHEMAS = Map.ofEntries(
            Map.entry("CatalogRequestMessage", "catalog/catalog-request-message-schema.json"),
            Map.entry("DatasetRequestMessage", "catalog/dataset-request-message-schema.json"),
            Map.entry("Catalog", "catalog/catalog-schema.json"),
            Map.entry("Dataset", "catalog/dataset-schema.json"),
            Map.entry("ContractRequestMessage", "negotiation/contract-request-message-schema.json"),
            Map.entry("ContractOfferMessage", "negotiation/contract-offer-message-schema.json"),
            Map.entry("ContractAgreementMessage",
                    "negotiation/contract-agreement-message-schema.json"),
            Map.entry("ContractAgreementVerificationMessage",
                    "negotiation/contract-agreement-verification-message-schema.json"),
            Map.entry("ContractNegotiationEventMessage",
                    "negotiation/contract-negotiation-event-message-schema.json"),
            Map.entry("ContractNegotiationTerminationMessage",
                    "negotiation/contract-negotiation-termination-message-schema.json"),
            Map.entry("ContractNegotiation", "negotiation/contract-negotiation-schema.json"),
            Map.entry("ContractNegotiationError",
                    "negotiation/contract-negotiation-error-schema.json"),
            Map.entry("TransferRequestMessage", "transfer/transfer-request-message-schema.json"),
            Map.entry("TransferStartMessage", "transfer/transfer-start-message-schema.json"),
            Map.entry("TransferProcess", "transfer/transfer-process-schema.json"));

    public static void main(String[] arguments) throws Exception {
        var registry = SchemaRegistry.withDialect(Dialects.getDraft201909(), builder ->
                builder.schemaIdResolvers(resolvers ->
                        resolvers.mapPrefix(NAMESPACE + "/", "classpath:/")));
        var mapper = new ObjectMapper();
        Map<String, Schema> schemas = new TreeMap<>();
        Map<String, Integer> checked = new TreeMap<>();
        Map<String, Integer> unknown = new TreeMap<>();
        List<String> failures = new ArrayList<>();
        for (var line : Files.readAllLines(Path.of(arguments[0]), StandardCharsets.UTF_8)) {
            var label = line.substring(0, line.indexOf('\t'));
            var text = line.substring(line.indexOf('\t') + 1);
            var type = mapper.readTree(text).path("@type").asText();
            var file = SCHEMAS.get(type);
            if (file == null) {
                unknown.merge(type, 1, Integer::sum);
                continue;
            }
            var schema = schemas.computeIfAbsent(type, name ->
                    registry.getSchema(SchemaLocation.of(NAMESPACE + "/" + file)));
            for (var error : schema.validate(text, InputFormat.JSON)) {
                var reason = error.getMessage().replaceAll("\\s+", " ");
                failures.add("failure=" + label + ": " + error.getInstanceLocation() + ": " + reason);
            }
            checked.merge(type, 1, Integer::sum);
        }
        List<String> lines = new ArrayList<>();
        checked.forEach((type, number) -> lines.add("checked=" + type + " " + number));
        unknown.forEach((type, number) -> lines.add("unknown=" + type + " " + number));
        lines.addAll(failures);
        Files.write(Path.of(arguments[1]), lines, StandardCharsets.UTF_8);
    }
}
