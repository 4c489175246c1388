package spark_scoring.jvm;

/** Finds the leaf of each tree that a row comes to. */
abstract class TreeLeaves {
  /** Spark's JVM has the module of vectors; another has it if it was started with `--add-modules`. */
  private static final boolean VECTORS =
      ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent() && TreeMasks.fit();

  static TreeLeaves of(TreeNodes nodes, int bits) {
    return VECTORS && bits > 0 ? (TreeLeaves) new TreeMasks(nodes, bits) : new TreeWalk(nodes);
  }

  /** How many integers of scratch space a row needs. */
  abstract int scratch();

  /** How many words of it. */
  abstract int keys();

  /** What it holds beside the nodes, about. */
  abstract long bytes();

  /** The values of the leaves, so many numbers each, in the order of the numbers that `find` gives them. */
  abstract double[] arranged(double[] values, int width);

  /** What is compared, into keys; then `find` can be called, from the first tree on. */
  abstract void start(double[] row, long[] keys);

  /** The numbers of the leaves of some trees, `tree` the first of them, into their places; returns the tree behind. */
  abstract int find(int tree, int[] leaves, long[] keys);
}
