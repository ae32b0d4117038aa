// Clinical
