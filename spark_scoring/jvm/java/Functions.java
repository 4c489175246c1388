package spark_scoring.jvm;

import org.apache.spark.sql.connector.catalog.FunctionCatalog;
import org.apache.spark.sql.connector.catalog.Identifier;
import org.apache.spark.sql.connector.catalog.functions.UnboundFunction;
import org.apache.spark.sql.util.CaseInsensitiveStringMap;

/** The catalog of this package's functions: a name is a function's kind, a colon, and what it is to do. */
public class Functions implements FunctionCatalog {
  private String name;

  public void initialize(String name, CaseInsensitiveStringMap options) {
    this.name = name;
  }

  public String name() {
    return name;
  }

  public Identifier[] listFunctions(String[] namespace) {
    return new Identifier[0];
  }

  public UnboundFunction loadFunction(Identifier identifier) {
    String text = identifier.name();
    int colon = text.indexOf(':');
    String kind = text.substring(0, colon), rest = text.substring(colon + 1);
    if (kind.equals("scores")) return new ModelScores(rest);
    if (kind.equals("answered")) return new AnsweredScores(rest);
    if (kind.equals("side")) return new Side(rest);
    if (kind.equals("as_of_index")) return new AsOfIndex(rest);
    if (kind.equals("as_of_indexes")) return new AsOfIndexes(rest);
    if (kind.equals("as_of_answers")) return new AsOfAnswers(rest);
    if (kind.equals("window_index")) return new WindowIndex(rest);
    if (kind.equals("window_aggregates")) return new WindowAggregates(rest);
    if (kind.equals("parse_json")) return new ParseJson(rest);
    if (kind.equals("pack_row")) return new PackRow(rest);
    if (kind.equals("unpack_row")) return new UnpackRow(rest);
    if (kind.equals("kept_row")) return new KeptRow(rest);
    throw new IllegalArgumentException("no such function: " + text);
  }
}
