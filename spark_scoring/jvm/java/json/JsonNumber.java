package spark_scoring.jvm;

import java.math.BigDecimal;
import java.math.RoundingMode;

/** A number as it is written; `real` if it has a point or an exponent. */
final class JsonNumber {
  private static final int MOST_DIGITS = 400;
  final String text;
  final boolean real;

  JsonNumber(String text, boolean real) {
    if (!real && text.length() > MOST_DIGITS) throw JsonFault.LONG_NUMBER;
    this.text = text;
    this.real = real;
  }

  long whole(long least, long greatest) {
    if (real) throw JsonFault.TYPE;
    // 19 digits and a sign are the most that a long has
    if (text.length() > 20) throw JsonFault.RANGE;
    java.math.BigInteger value = new java.math.BigInteger(text);
    if (value.bitLength() > 63 || value.longValue() < least || value.longValue() > greatest) throw JsonFault.RANGE;
    return value.longValue();
  }

  double toDouble() {
    double value = Double.parseDouble(text);
    if (Double.isInfinite(value)) throw JsonFault.RANGE;
    // a whole number has no negative zero
    return !real && value == 0.0 ? 0.0 : value;
  }

  float toFloat() {
    float value = (float) toDouble();
    if (Float.isInfinite(value)) throw JsonFault.RANGE;
    return value;
  }

  BigDecimal decimal(int precision, int scale) {
    BigDecimal value = exact();
    if (value.signum() == 0) return BigDecimal.ZERO.setScale(scale);
    // looked at first: writing 1e999999999 out would take a gigabyte
    if ((long) value.precision() - value.scale() > precision - scale) throw JsonFault.RANGE;
    BigDecimal plain = value.stripTrailingZeros();
    if (plain.scale() > scale) throw JsonFault.RANGE;
    return plain.setScale(scale);
  }

  /** The number times a power of ten, rounded half to even. */
  long scaled(int power) {
    if (Math.abs(toDouble()) > 1e18) throw JsonFault.RANGE;
    BigDecimal value = exact();
    long digits = (long) value.precision() - value.scale() + power;
    if (value.signum() == 0 || digits < -1) return 0;
    if (digits > 18) throw JsonFault.RANGE;
    return value.scaleByPowerOfTen(power).setScale(0, RoundingMode.HALF_EVEN).longValueExact();
  }

  private BigDecimal exact() {
    String digits = text.split("[eE]")[0];
    try {
      return digits.length() > MOST_DIGITS ? shortened(digits) : new BigDecimal(text);
    } catch (NumberFormatException error) {
      // an exponent beyond those of Java
      if (digits.matches("[-0.]*")) return BigDecimal.ZERO;
      throw JsonFault.RANGE;
    } catch (ArithmeticException error) {
      throw JsonFault.RANGE;
    }
  }

  /** The same to whatever has fewer digits: a million of them would take Java minutes. */
  private BigDecimal shortened(String written) {
    int point = written.indexOf('.'), first = 0;
    String digits = written.replaceAll("[-.]", "");
    while (first < digits.length() - 1 && digits.charAt(first) == '0') first++;
    int end = Math.min(digits.length(), first + MOST_DIGITS);
    boolean exact = digits.substring(end).matches("0*");
    BigDecimal kept = new BigDecimal(digits.substring(first, end) + (exact ? "" : "1") + text.substring(written.length()));
    int after = point < 0 ? 0 : written.length() - point - 1, dropped = digits.length() - end - (exact ? 0 : 1);
    BigDecimal size = kept.scaleByPowerOfTen(dropped - after);
    return written.charAt(0) == '-' ? size.negate() : size;
  }
}
