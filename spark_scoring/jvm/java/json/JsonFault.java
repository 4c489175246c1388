package spark_scoring.jvm;

/** What is wrong with a record, or with one value of it. */
final class JsonFault extends RuntimeException {
  /** The value has another JSON type than its column. */
  static final JsonFault TYPE = new JsonFault("type");
  /** The column cannot hold the number. */
  static final JsonFault RANGE = new JsonFault("range");
  static final JsonFault NOT_UTF8 = new JsonFault("not UTF-8");
  static final JsonFault NO_OBJECT = new JsonFault("not exactly one JSON object");
  static final JsonFault REPEATED = new JsonFault("repeated key");
  static final JsonFault LONG_NUMBER = new JsonFault("number out of range");

  private JsonFault(String message) {
    super(message, null, false, false);
  }
}
