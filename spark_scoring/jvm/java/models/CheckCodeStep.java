package spark_scoring.jvm;

/** A code that must be less than a limit: the model refuses categories that it does not know. */
final class CheckCodeStep extends ModelStep {
  private final int code;
  private final int[] refused;

  CheckCodeStep(ModelReader in) {
    code = in.number();
    refused = in.ints();
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    for (int i = 0; i < refused.length; i++) if (codes[code] == refused[i]) return false;
    return true;
  }
}
