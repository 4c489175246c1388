package spark_scoring.jvm;

/** Finds the leaf of each tree that a row comes to. */
abstract class TreeLeaves {
  /** How many integers of scratch space a row needs. */
  abstract int scratch();

  /** How many words of it. */
  abstract int keys();

  /** What it holds beside the nodes, about. */
  abstract long bytes();

  /** The values of the leaves, so many numbers each, in the order of the numbers that `find` gives them. */
  abstract double[] arranged(double[] values, int width);

  /** The number of each tree's leaf into scratch, in the order of the trees. */
  abstract void find(double[] row, int[] scratch, long[] keys);
}
