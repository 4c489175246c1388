package spark_scoring.jvm;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** The model of this jar in plain Java. An instance scores one row at a time: one for each thread. */
public class ExportedModel {
  private final Model model;
  private final Model.Row row;
  private final PlainTexts texts;
  private final String[] inputs;
  private final boolean[] isText;

  public ExportedModel() {
    model = new Model(resource("model.bin"));
    row = new Model.Row(model);
    String[] lines = new String(resource("inputs.txt"), StandardCharsets.UTF_8).split("\n");
    inputs = new String[lines.length];
    isText = new boolean[lines.length];
    int count = 0;
    for (int i = 0; i < lines.length; i++) {
      int tab = lines[i].indexOf('\t');
      inputs[i] = lines[i].substring(0, tab);
      isText[i] = lines[i].substring(tab + 1).equals("string");
      if (isText[i]) count++;
    }
    texts = new PlainTexts(count);
  }

  /** The names of the columns, in the order in which a row holds them. */
  public String[] inputs() {
    return (String[]) inputs.clone();
  }

  /** The classes; none for a regression. */
  public String[] labels() {
    String[] labels = new String[model.link.labels.length];
    for (int i = 0; i < labels.length; i++) labels[i] = new String(model.link.labels[i], StandardCharsets.UTF_8);
    return labels;
  }

  /**
   * The score, and the place of the class in `labels()`, -1 for a regression.
   *
   * A row holds numbers, booleans, texts and nulls. One that cannot be scored has the score NaN and the place -1.
   */
  public double[] score(Object[] values) {
    if (values.length != inputs.length) {
      throw new IllegalArgumentException("a row has " + inputs.length + " values, not " + values.length);
    }
    int number = 0, text = 0;
    for (int i = 0; i < values.length; i++) {
      if (isText[i]) texts.set(text++, values[i]);
      else row.places[number++] = number(values[i]);
    }
    if (!model.run(row, texts)) return new double[] {Double.NaN, -1};
    double score = model.link.score(row.margins, row.label);
    if (!(Math.abs(score) <= Double.MAX_VALUE)) return new double[] {Double.NaN, -1};
    return new double[] {score, model.link.labels.length == 0 ? -1 : row.label[0]};
  }

  private static double number(Object value) {
    if (value == null) return Double.NaN;
    if (value instanceof Boolean) return ((Boolean) value).booleanValue() ? 1 : 0;
    return ((Number) value).doubleValue();
  }

  private static byte[] resource(String name) {
    InputStream in = ExportedModel.class.getResourceAsStream(name);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    byte[] part = new byte[65536];
    try {
      for (int n = in.read(part); n > 0; n = in.read(part)) out.write(part, 0, n);
      in.close();
    } catch (IOException error) {
      throw new IllegalStateException("this jar lacks " + name);
    }
    return out.toByteArray();
  }
}
