package spark_scoring.jvm;

/** A model that was read: steps, head and link. It never changes, tasks share it; each brings a `Row` of its own. */
final class Model {
  private final int places, codes;
  final long bytes;
  private final ModelStep[] steps;
  private final ModelHead head;
  final ModelLink link;

  /** What one task needs to score row by row. */
  static final class Row {
    final double[] places, margins;
    final int[] codes, scratch, label = new int[1];
    final long[] keys;

    Row(Model model) {
      places = new double[model.places];
      codes = new int[model.codes];
      margins = new double[model.link.outputs()];
      scratch = new int[model.head.scratch()];
      keys = new long[model.head.keys()];
    }
  }

  Model(byte[] content) {
    ModelReader in = new ModelReader(content);
    places = in.number();
    codes = in.number();
    steps = new ModelStep[in.number()];
    for (int i = 0; i < steps.length; i++) steps[i] = ModelStep.read(in);
    head = ModelHead.read(in);
    link = new ModelLink(in);
    bytes = content.length + head.bytes();
  }

  /** Whether the row, whose numbers stand in its first places, could be scored; then its margins stand in it. */
  boolean run(Row row, Texts texts) {
    for (int i = 0; i < steps.length; i++) if (!steps[i].run(row.places, row.codes, texts)) return false;
    head.margins(row.places, row.codes, row.scratch, row.keys, row.margins);
    return true;
  }
}
