package spark_scoring.jvm;

import org.apache.spark.sql.catalyst.util.ArrayData;
import org.apache.spark.unsafe.types.UTF8String;

/** The place of a text among known ones; behind them one place for unknown texts, and one for null. */
final class TextCodeStep extends ModelStep {
  private final int argument, code, mask, missing;
  private final UTF8String[] known;
  private final long[] keys;
  private final int[] places;

  TextCodeStep(ModelReader in) {
    argument = in.number();
    code = in.number();
    missing = in.number();
    known = in.texts();
    mask = Integer.highestOneBit(Math.max(known.length, 1)) * 4 - 1;
    keys = new long[mask + 1];
    places = new int[mask + 1];
    for (int i = 0; i < known.length; i++) put(i);
  }

  private void put(int i) {
    int at = slot(known[i]);
    while (places[at] != 0) at = at + 1 & mask;
    places[at] = i + 1;
    keys[at] = known[i].getPrefix();
  }

  private int slot(UTF8String text) {
    int length = text.numBytes();
    long mixed = (text.getPrefix() ^ length) * 0x9E3779B97F4A7C15L;
    // texts that share their first 8 bytes, as in user_0001, need the rest of them
    if (length > 8) mixed ^= text.hashCode() * 0x9E3779B97F4A7C15L;
    return (int) (mixed >>> 32) & mask;
  }

  boolean run(double[] row, int[] codes, ArrayData texts) {
    codes[code] = texts.isNullAt(argument) ? missing : place(texts.getUTF8String(argument));
    return true;
  }

  private int place(UTF8String text) {
    long prefix = text.getPrefix();
    for (int at = slot(text); places[at] != 0; at = at + 1 & mask) {
      if (keys[at] == prefix && known[places[at] - 1].equals(text)) return places[at] - 1;
    }
    return known.length;
  }
}
