package spark_scoring.jvm;

/** One step in front of a model: it fills places of the row, or codes; false for a row that cannot be scored. */
abstract class ModelStep {
  static final int NUMBERS = 0, CHECK = 1, TEXT_CODE = 2, NUMBER_CODE = 3, BIN_CODE = 4, CHECK_CODE = 5, SPREAD = 6;

  static ModelStep read(ModelReader in) {
    int kind = in.number();
    if (kind == NUMBERS) return new NumberStep(in);
    if (kind == CHECK) return new CheckStep(in);
    if (kind == TEXT_CODE) return new TextCodeStep(in);
    if (kind == NUMBER_CODE || kind == BIN_CODE) return new NumberCodeStep(in, kind == BIN_CODE);
    if (kind == CHECK_CODE) return new CheckCodeStep(in);
    if (kind == SPREAD) return new SpreadStep(in);
    throw new IllegalArgumentException("no such step: " + kind);
  }

  abstract boolean run(double[] row, int[] codes, Texts texts);
}
