"""Methods compared, the ablation of SSL-TIE, training on one's own videos, and the demo."""
