"""What must hold for every input: any split, any graph, any moment of a snapshot."""
