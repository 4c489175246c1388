package spark_scoring.jvm;

/** The place of a text among known ones; behind them one place for unknown texts, and one for null. */
final class TextCodeStep extends ModelStep {
  private final int argument, code, mask, missing;
  private final byte[][] known;
  private final long[] firsts, lasts;
  private final int[] places;

  TextCodeStep(ModelReader in) {
    argument = in.number();
    code = in.number();
    missing = in.number();
    known = in.texts();
    mask = Integer.highestOneBit(Math.max(known.length, 1)) * 4 - 1;
    firsts = new long[mask + 1];
    lasts = new long[mask + 1];
    places = new int[mask + 1];
    for (int i = 0; i < known.length; i++) put(i);
  }

  private void put(int i) {
    int at = slot(Texts.firstOf(known[i]), known[i].length, Texts.lastOf(known[i]));
    while (places[at] != 0) at = at + 1 & mask;
    places[at] = i + 1;
    firsts[at] = Texts.firstOf(known[i]);
    lasts[at] = Texts.lastOf(known[i]);
  }

  private int slot(long first, int length, long last) {
    // texts often share their beginning, as in user_0001
    long mixed = (first ^ length ^ Long.rotateLeft(last * 0x9E3779B97F4A7C15L, 32)) * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32) & mask;
  }

  boolean run(double[] row, int[] codes, Texts texts) {
    codes[code] = texts.isMissing(argument) ? missing : place(texts);
    return true;
  }

  private int place(Texts texts) {
    int length = texts.length(argument);
    long first = texts.first(argument), last = length > 8 ? texts.last(argument) : 0;
    for (int at = slot(first, length, last); places[at] != 0; at = at + 1 & mask) {
      byte[] candidate = known[places[at] - 1];
      // up to sixteen bytes the first and the last eight are all there is
      if (firsts[at] == first && lasts[at] == last && candidate.length == length
          && (length <= 16 || texts.isEqual(argument, candidate))) {
        return places[at] - 1;
      }
    }
    return known.length;
  }
}
