"""Methods compared, the ablation of SSL-TIE, and the demo."""
