package spark_scoring.jvm;

import java.math.BigInteger;
import org.apache.spark.sql.catalyst.util.ArrayData;

/**
 * Exact sums of numbers: fixed-point integers of as many 64-bit limbs as the values need.
 *
 * A number is (limbs) * 2^scale, the limbs in two's complement, lowest first. Nothing is rounded before the end,
 * so that a sum depends on its summands alone, whatever their order, and a difference of two running totals is exact.
 */
final class Exact {
  private Exact() {}

  /** Running totals of the values: element 0 is the scale, then come the limbs of n + 1 totals. */
  static long[] totals(double[] values, int n, boolean squared) {
    int low = Integer.MAX_VALUE, high = Integer.MIN_VALUE;
    for (int i = 0; i < n; i++) {
      if (values[i] != 0 && isFinite(values[i])) {
        low = Math.min(low, exponent(values[i]) + Long.numberOfTrailingZeros(mantissa(values[i])));
        high = Math.max(high, exponent(values[i]) + 64 - Long.numberOfLeadingZeros(mantissa(values[i])));
      }
    }
    if (low > high) return new long[n + 2];
    int times = squared ? 2 : 1;
    int width = limbs((high - low) * times, n);
    long[] totals = start(low * times, width, n);
    for (int i = 0; i < n; i++) {
      int to = carryOver(totals, width, i);
      if (values[i] != 0 && isFinite(values[i])) addDouble(totals, to, width, values[i], low, squared);
    }
    return totals;
  }

  static long[] totals(BigInteger[] values, int n) {
    int bits = 0;
    for (int i = 0; i < n; i++) bits = Math.max(bits, values[i].bitLength());
    int width = limbs(bits, n);
    long[] totals = start(0, width, n);
    for (int i = 0; i < n; i++) {
      int to = carryOver(totals, width, i);
      BigInteger rest = values[i];
      boolean negative = rest.signum() < 0;
      rest = rest.abs();
      for (int limb = 0; rest.signum() != 0; limb++, rest = rest.shiftRight(64)) {
        addAt(totals, to, width, limb, rest.longValue(), negative);
      }
    }
    return totals;
  }

  static long[] totals(long[] values, int n) {
    int bits = 0;
    for (int i = 0; i < n; i++) bits = Math.max(bits, 64 - Long.numberOfLeadingZeros(values[i] ^ (values[i] >> 63)));
    int width = limbs(bits, n);
    long[] totals = start(0, width, n);
    for (int i = 0; i < n; i++) {
      int to = carryOver(totals, width, i);
      addAt(totals, to, width, 0, values[i], false);
      if (values[i] < 0) for (int limb = 1; limb < width; limb++) addAt(totals, to, width, limb, -1L, false);
    }
    return totals;
  }

  /** Limbs for a sum of n values of so many bits, with the sign. */
  private static int limbs(int bits, int n) {
    return (bits + (32 - Integer.numberOfLeadingZeros(n)) + 1 + 63) / 64;
  }

  private static long[] start(int scale, int width, int n) {
    long[] totals = new long[1 + (n + 1) * width];
    totals[0] = scale;
    return totals;
  }

  /** The total after i values becomes the one after i + 1, to be added to; where that begins. */
  private static int carryOver(long[] totals, int width, int i) {
    int from = 1 + i * width;
    System.arraycopy(totals, from, totals, from + width, width);
    return from + width;
  }

  private static void addDouble(long[] totals, int to, int width, double value, int low, boolean squared) {
    long mantissa = mantissa(value);
    int zeros = Long.numberOfTrailingZeros(mantissa);
    mantissa >>>= zeros;
    int shift = exponent(value) + zeros - low;
    if (squared) {
      addShifted(totals, to, width, mantissa * mantissa, 2 * shift, false);
      addShifted(totals, to, width, Math.multiplyHigh(mantissa, mantissa), 2 * shift + 64, false);
    } else {
      addShifted(totals, to, width, mantissa, shift, value < 0);
    }
  }

  /** Add the unsigned 64-bit number times 2^shift, or its negative. */
  private static void addShifted(long[] limbs, int to, int width, long number, int shift, boolean negative) {
    int limb = shift >>> 6, bits = shift & 63;
    addAt(limbs, to, width, limb, number << bits, negative);
    if (bits != 0) addAt(limbs, to, width, limb + 1, number >>> (64 - bits), negative);
  }

  /** Add an unsigned 64-bit number to one limb, with the carry; what leaves the top is the sign's. */
  private static void addAt(long[] limbs, int to, int width, int limb, long number, boolean negative) {
    for (int i = limb; number != 0 && i < width; i++) {
      long before = limbs[to + i];
      long after = negative ? before - number : before + number;
      limbs[to + i] = after;
      boolean carry = negative ? Long.compareUnsigned(before, number) < 0 : Long.compareUnsigned(after, before) < 0;
      number = carry ? 1 : 0;
    }
  }

  /** The sum of the values in the stretches, out of the totals of n values. */
  static long[] between(ArrayData totals, int n, int[] runs) {
    int width = (totals.numElements() - 1) / (n + 1);
    long[] sum = new long[width];
    for (int run = 0; run < runs.length; run += 2) {
      int from = 1 + runs[run] * width, to = 1 + runs[run + 1] * width;
      // -x is ~x + 1
      long less = 1, carry = 0;
      for (int limb = 0; limb < width; limb++) {
        long after = totals.getLong(to + limb), before = ~totals.getLong(from + limb), there = sum[limb];
        long more = after + before + less;
        less = carry(after, before, more);
        sum[limb] = there + more + carry;
        carry = carry(there, more, sum[limb]);
      }
    }
    return sum;
  }

  /** What a sum of two limbs and a carry carries over. */
  private static long carry(long a, long b, long sum) {
    return (a & b | (a | b) & ~sum) >>> 63;
  }

  /** As an integer, without the scale. */
  static BigInteger integer(long[] limbs) {
    byte[] bytes = new byte[8 * limbs.length];
    for (int i = 0; i < bytes.length; i++) {
      bytes[bytes.length - 1 - i] = (byte) (limbs[i >>> 3] >>> (8 * (i & 7)));
    }
    return new BigInteger(bytes);
  }

  static boolean isLong(long[] limbs) {
    for (int i = 1; i < limbs.length; i++) if (limbs[i] != limbs[0] >> 63) return false;
    return true;
  }

  /** The nearest double to limbs * 2^scale, ties to even; beyond the range infinite. */
  static double toDouble(long[] limbs, int scale) {
    return rounded(limbs, scale, 53, -1074);
  }

  static float toFloat(long[] limbs, int scale) {
    return (float) rounded(limbs, scale, 24, -149);
  }

  /** The nearest number of so many bits, none of them below 2^lowest. */
  private static double rounded(long[] limbs, int scale, int precision, int lowest) {
    boolean negative = limbs[limbs.length - 1] < 0;
    long[] size = negative ? negated(limbs) : limbs;
    int length = length(size);
    if (length == 0) return 0.0;
    int dropped = Math.max(length - precision, lowest - scale);
    if (dropped <= 0) return signed(Math.scalb((double) size[0], scale), negative);
    if (dropped > length) return negative ? -0.0 : 0.0;
    long kept = bits(size, dropped);
    if (bit(size, dropped - 1) && ((kept & 1) == 1 || anyBelow(size, dropped - 1))) kept++;
    return signed(Math.scalb((double) kept, scale + dropped), negative);
  }

  /** The bits of a number that is not negative. */
  private static int length(long[] size) {
    int top = size.length - 1;
    while (top >= 0 && size[top] == 0) top--;
    return top < 0 ? 0 : 64 * top + 64 - Long.numberOfLeadingZeros(size[top]);
  }

  private static double signed(double size, boolean negative) {
    return negative ? -size : size;
  }

  /** The bits from a place upwards: at most 53 are left there. */
  private static long bits(long[] size, int from) {
    int limb = from >>> 6, bits = from & 63;
    if (limb >= size.length) return 0;
    long low = size[limb] >>> bits;
    return bits == 0 || limb + 1 >= size.length ? low : low | size[limb + 1] << (64 - bits);
  }

  private static boolean bit(long[] size, int place) {
    return place >>> 6 < size.length && (size[place >>> 6] >>> (place & 63) & 1) == 1;
  }

  private static boolean anyBelow(long[] size, int place) {
    for (int limb = 0; limb < place >>> 6; limb++) if (size[limb] != 0) return true;
    return (place & 63) != 0 && size[place >>> 6] << (64 - (place & 63)) != 0;
  }

  private static long[] negated(long[] limbs) {
    long[] result = new long[limbs.length];
    long carry = 1;
    for (int i = 0; i < limbs.length; i++) {
      result[i] = ~limbs[i] + carry;
      carry = carry == 1 && result[i] == 0 ? 1 : 0;
    }
    return result;
  }

  private static boolean isFinite(double value) {
    return Math.abs(value) <= Double.MAX_VALUE;
  }

  private static int exponent(double value) {
    return Math.max(Math.getExponent(value), -1022) - 52;
  }

  private static long mantissa(double value) {
    long bits = Double.doubleToRawLongBits(value);
    long fraction = bits & 0xfffffffffffffL;
    return (bits & 0x7ff0000000000000L) == 0 ? fraction : fraction | 0x10000000000000L;
  }

  /**
   * The sum of (x - mean)^2, exactly and rounded once: squares - 2 * mean * sum + n * mean^2.
   *
   * `sum` and `squares` are the totals of x and x^2 with their scales; mean is finite.
   */
  static double squaredDeviations(long[] sum, int scale, long[] squares, int squaresScale, long n, double mean) {
    if (mean == 0) return toDouble(squares, squaresScale);
    int zeros = Long.numberOfTrailingZeros(mantissa(mean)), exponent = exponent(mean) + zeros;
    long m = mantissa(mean) >>> zeros, low = m * m, high = Math.multiplyHigh(m, m);
    int crossScale = scale + exponent + 1, lowest = Math.min(squaresScale, Math.min(crossScale, 2 * exponent));
    int squaresShift = squaresScale - lowest, crossShift = crossScale - lowest, meanShift = 2 * exponent - lowest;
    // all is modulo 2^(64 * limbs), and what comes out is no more than twice the squares
    long[] total = new long[(length(squares) + squaresShift + 2) / 64 + 1];
    addProduct(total, squares, 1, squaresShift, false);
    addProduct(total, sum, m, crossShift, mean > 0);
    addProduct(total, new long[] {low, high}, n, meanShift, false);
    return toDouble(total, lowest);
  }

  /** Add number * times * 2^shift, or its negative; `times` is not negative. */
  private static void addProduct(long[] limbs, long[] number, long times, int shift, boolean minus) {
    int bits = shift & 63;
    // a negative number goes on with ones: all is modulo 2^(64 * limbs). And -x is ~x + 1
    long sign = number[number.length - 1] >> 63, high = 0, last = 0, carry = minus ? 1 : 0;
    for (int i = shift >>> 6, n = 0; i < limbs.length; i++, n++) {
      long digit = n < number.length ? number[n] : sign, product = digit * times + high, there = limbs[i];
      // of an unsigned product; Java's high half is that of signed numbers
      high = Math.multiplyHigh(digit, times) + (digit >> 63 & times) + (Long.compareUnsigned(product, high) < 0 ? 1 : 0);
      long word = bits == 0 ? product : product << bits | last >>> 64 - bits;
      last = product;
      if (minus) word = ~word;
      limbs[i] = there + word + carry;
      carry = carry(there, word, limbs[i]);
    }
  }
}
