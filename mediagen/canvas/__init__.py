"""From a model to a canvas: style maps, the plan, blocks, and painting them into a store."""
