package spark_scoring.jvm;

import java.nio.ByteBuffer;

/** Reads what `spark_scoring/models/compiled/content.py` writes: numbers with the highest byte first, arrays by length. */
final class ModelReader {
  private final ByteBuffer in;

  ModelReader(byte[] content) {
    in = ByteBuffer.wrap(content);
  }

  int number() {
    return in.getInt();
  }

  int[] ints() {
    int[] values = new int[in.getInt()];
    in.asIntBuffer().get(values);
    in.position(in.position() + 4 * values.length);
    return values;
  }

  long[] longs() {
    long[] values = new long[in.getInt()];
    in.asLongBuffer().get(values);
    in.position(in.position() + 8 * values.length);
    return values;
  }

  double[] doubles() {
    double[] values = new double[in.getInt()];
    in.asDoubleBuffer().get(values);
    in.position(in.position() + 8 * values.length);
    return values;
  }

  byte[][] texts() {
    byte[][] values = new byte[in.getInt()][];
    for (int i = 0; i < values.length; i++) {
      values[i] = new byte[in.getInt()];
      in.get(values[i]);
    }
    return values;
  }
}
