"""The dhash media service: extracts images, computes perceptual hashes, matches them."""
