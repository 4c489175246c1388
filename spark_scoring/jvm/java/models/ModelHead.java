package spark_scoring.jvm;

/** What makes of a prepared row the model's margins, one for each of its outputs. */
abstract class ModelHead {
  static ModelHead read(ModelReader in) {
    return in.number() == 0 ? new LinearHead(in) : new TreesHead(in);
  }

  /** How many integers of scratch space a row needs. */
  abstract int scratch();

  /** How many numbers it compares. */
  abstract int keys();

  /** What it holds beside the content, about. */
  abstract long bytes();

  abstract void margins(double[] row, int[] codes, int[] scratch, long[] keys, double[] margins);
}
